"""The rows of templates and of their published versions.

A version is written once and never changed, also when its template is withdrawn: scenarios made from
it keep going and their upgrades compare with it. Every statement names the organization besides the
row-level policy.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
from psycopg.rows import DictRow

from make_bridge.domain.templates.controller import read_controller, write_controller
from make_bridge.domain.templates.messages import (
    JsonObject,
    PublicBlueprint,
    PublicTemplate,
    Template,
    TemplateVersion,
)
from make_bridge.domain.templates.model import WITHDRAWN, Draft
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId, TemplateId, TemplateVersionId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_INSERT: Final = """
INSERT INTO shard.templates
    (organization_id, name, description, language, visibility, blueprint, controller, scheduling, used_packages)
VALUES (%(organization)s, %(name)s, %(description)s, %(language)s, %(visibility)s, %(blueprint)s, %(controller)s,
    %(scheduling)s, %(used_packages)s)
RETURNING id, name, description, language, visibility, used_packages, scheduling, published_version_id, updated_at
"""
_UPDATE: Final = """
UPDATE shard.templates SET name = %(name)s, description = %(description)s, blueprint = %(blueprint)s,
    controller = %(controller)s, scheduling = %(scheduling)s, used_packages = %(used_packages)s, updated_at = now()
WHERE organization_id = %(organization)s AND id = %(id)s
RETURNING id, name, description, language, visibility, used_packages, scheduling, published_version_id, updated_at
"""
_LIST: Final = """
SELECT id, name, description, language, visibility, used_packages, scheduling, published_version_id, updated_at
FROM shard.templates
WHERE organization_id = %(organization)s AND id > %(after)s AND visibility <> 'withdrawn'
    AND (NOT %(published_only)s OR published_version_id IS NOT NULL)
ORDER BY id LIMIT %(limit)s
"""
_GET: Final = """
SELECT id, name, description, language, visibility, used_packages, scheduling, published_version_id, updated_at
FROM shard.templates WHERE organization_id = %s AND id = %s AND visibility <> 'withdrawn'
"""
_PUBLIC: Final = """
WITH used AS (
    SELECT v.template_id, count(*) AS usage FROM shard.scenarios s
    JOIN shard.template_versions v ON v.id = s.template_version_id AND v.organization_id = s.organization_id
    WHERE s.organization_id = %(organization)s AND s.template_version_id IS NOT NULL GROUP BY v.template_id
)
SELECT t.id, v.name, v.description, v.language, v.used_packages, coalesce(u.usage, 0) AS usage
FROM shard.templates t
JOIN shard.template_versions v ON v.id = t.published_version_id AND v.organization_id = t.organization_id
LEFT JOIN used u ON u.template_id = t.id
WHERE t.organization_id = %(organization)s AND t.visibility <> 'withdrawn'
ORDER BY t.id LIMIT %(limit)s
"""
_GET_PUBLIC: Final = """
SELECT t.id, v.name, v.description, v.language, v.used_packages, v.scheduling, v.blueprint, v.controller,
    (SELECT count(*) FROM shard.scenarios s
     JOIN shard.template_versions o ON o.id = s.template_version_id AND o.organization_id = s.organization_id
     WHERE s.organization_id = t.organization_id AND o.template_id = t.id) AS usage
FROM shard.templates t
JOIN shard.template_versions v ON v.id = t.published_version_id AND v.organization_id = t.organization_id
WHERE t.organization_id = %s AND t.id = %s AND t.visibility <> 'withdrawn'
"""
_GET_DRAFT: Final = """
SELECT id, name, description, language, visibility, blueprint, controller, scheduling, used_packages
FROM shard.templates WHERE organization_id = %s AND id = %s AND visibility <> 'withdrawn'
"""
_LOCK_DRAFT: Final = """
SELECT id, name, description, language, visibility, blueprint, controller, scheduling, used_packages
FROM shard.templates WHERE organization_id = %s AND id = %s AND visibility <> 'withdrawn' FOR UPDATE
"""
# The template's row is locked by whoever publishes, so two at once get two numbers.
_INSERT_VERSION: Final = """
INSERT INTO shard.template_versions (organization_id, template_id, number, name, description, language, blueprint,
    controller, scheduling, used_packages)
SELECT %(organization)s, %(id)s, 1 + coalesce(max(v.number), 0), %(name)s, %(description)s, %(language)s,
    %(blueprint)s, %(controller)s, %(scheduling)s, %(used_packages)s
FROM shard.template_versions v WHERE v.organization_id = %(organization)s AND v.template_id = %(id)s
RETURNING id, template_id, number, name, description, language, used_packages, scheduling, blueprint, controller
"""
_SET_PUBLISHED: Final = """
UPDATE shard.templates SET published_version_id = %s, updated_at = now() WHERE organization_id = %s AND id = %s
"""
_GET_VERSION: Final = """
SELECT v.id, v.template_id, v.number, v.name, v.description, v.language, v.used_packages, v.scheduling, v.blueprint,
    v.controller, t.visibility
FROM shard.template_versions v JOIN shard.templates t ON t.id = v.template_id AND t.organization_id = v.organization_id
WHERE v.organization_id = %s AND v.id = %s
"""
_WITHDRAW: Final = """
UPDATE shard.templates SET visibility = 'withdrawn', published_version_id = NULL, updated_at = now()
WHERE organization_id = %s AND id = %s AND visibility <> 'withdrawn'
"""
_UNKNOWN: Final = "There is no such template."


@dataclass(frozen=True, slots=True)
class TemplateStore:
    """Templates of one organization, inside the transaction given."""

    async def insert(self, tx: WriteTx, organization_id: OrganizationId, draft: Draft) -> Template:
        """Write a new template."""
        rows = await tx.all(_INSERT, {"organization": organization_id, **_columns(draft)})
        return _template(rows[0])

    async def update(
        self, tx: WriteTx, organization_id: OrganizationId, template_id: TemplateId, draft: Draft
    ) -> Template:
        """Write a changed draft; published versions stay as they are."""
        rows = await tx.all(_UPDATE, {"organization": organization_id, "id": template_id, **_columns(draft)})
        return _template(rows[0])

    async def list_page(
        self, tx: ReadTx, organization_id: OrganizationId, *, published_only: bool, after: int, limit: int
    ) -> list[Template]:
        """Return templates in the order they came, beginning behind the id ``after``."""
        parameters = {"organization": organization_id, "published_only": published_only, "after": after, "limit": limit}
        return [_template(row) for row in await tx.all(_LIST, parameters)]

    async def get(self, tx: ReadTx, organization_id: OrganizationId, template_id: TemplateId) -> Template:
        """Return a template with its draft's facts; raises NotFound."""
        return _template(_found(await tx.one(_GET, (organization_id, template_id))))

    async def list_public(self, tx: ReadTx, organization_id: OrganizationId, *, limit: int) -> list[PublicTemplate]:
        """Return what the organization has published, each as its last version says."""
        rows = await tx.all(_PUBLIC, {"organization": organization_id, "limit": limit})
        return [_public(row) for row in rows]

    async def get_public(self, tx: ReadTx, organization_id: OrganizationId, template_id: TemplateId) -> PublicBlueprint:
        """Return a published template as its last version says; raises NotFound."""
        row = _found(await tx.one(_GET_PUBLIC, (organization_id, template_id)))
        return PublicBlueprint(
            template=_public(row),
            blueprint=_json(row["blueprint"]),
            controller=_json(row["controller"]),
            scheduling=_json(row["scheduling"]),
        )

    async def lock_draft(self, tx: WriteTx, organization_id: OrganizationId, template_id: TemplateId) -> Draft:
        """Return a template's draft and hold it; raises NotFound."""
        row = _found(await tx.one(_LOCK_DRAFT, (organization_id, template_id)))
        return Draft(
            name=row["name"],
            description=row["description"],
            language=row["language"],
            visibility=row["visibility"],
            blueprint=parse_blueprint(bytes(row["blueprint"])),
            controller=read_controller(_json(row["controller"])),
            scheduling=_json(row["scheduling"]),
        )

    async def get_draft(self, tx: ReadTx, organization_id: OrganizationId, template_id: TemplateId) -> TemplateVersion:
        """Return a template's draft in the shape of a version, number 0; raises NotFound."""
        row = _found(await tx.one(_GET_DRAFT, (organization_id, template_id)))
        return _version({**row, "id": 0, "template_id": row["id"], "number": 0})

    async def publish(
        self, tx: WriteTx, organization_id: OrganizationId, template_id: TemplateId, draft: Draft
    ) -> TemplateVersion:
        """Write the locked draft as the next version and make it the published one."""
        rows = await tx.all(_INSERT_VERSION, {"organization": organization_id, "id": template_id, **_columns(draft)})
        version = _version(rows[0])
        await tx.execute(_SET_PUBLISHED, (version.id, organization_id, template_id))
        return version

    async def version(
        self, tx: ReadTx, organization_id: OrganizationId, version_id: TemplateVersionId
    ) -> TemplateVersion:
        """Return a published version, also of a template withdrawn since: flows under way go on. Raises NotFound."""
        return _version(_found(await tx.one(_GET_VERSION, (organization_id, version_id))))

    async def offered_version(
        self, tx: ReadTx, organization_id: OrganizationId, version_id: TemplateVersionId
    ) -> TemplateVersion:
        """Return a published version that new flows may begin with; raises NotFound."""
        row = _found(await tx.one(_GET_VERSION, (organization_id, version_id)))
        if row["visibility"] == WITHDRAWN:
            raise NotFound(_UNKNOWN)
        return _version(row)

    async def withdraw(self, tx: WriteTx, organization_id: OrganizationId, template_id: TemplateId) -> None:
        """Take a template away from sight; raises NotFound."""
        if not await tx.execute(_WITHDRAW, (organization_id, template_id)):
            raise NotFound(_UNKNOWN)


def _found(row: DictRow | None) -> DictRow:
    if row is None:
        raise NotFound(_UNKNOWN)
    return row


def _columns(draft: Draft) -> dict[str, object]:
    return {
        "name": draft.name,
        "description": draft.description,
        "language": draft.language,
        "visibility": draft.visibility,
        "blueprint": msgspec.json.encode(draft.blueprint.document),
        "controller": msgspec.json.encode(write_controller(draft.controller)),
        "scheduling": msgspec.json.encode(draft.scheduling),
        "used_packages": draft.used_packages,
    }


def _template(row: DictRow) -> Template:
    return Template(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        language=row["language"],
        visibility=row["visibility"],
        used_packages=tuple(row["used_packages"]),
        scheduling=_json(row["scheduling"]),
        published_version_id=row["published_version_id"],
        updated_at=row["updated_at"],
    )


def _public(row: DictRow) -> PublicTemplate:
    return PublicTemplate(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        language=row["language"],
        used_packages=tuple(row["used_packages"]),
        usage=row["usage"],
    )


def _version(row: DictRow) -> TemplateVersion:
    return TemplateVersion(
        id=row["id"],
        template_id=row["template_id"],
        number=row["number"],
        name=row["name"],
        description=row["description"],
        language=row["language"],
        used_packages=tuple(row["used_packages"]),
        scheduling=_json(row["scheduling"]),
        blueprint=_json(row["blueprint"]),
        controller=_json(row["controller"]),
    )


def _json(stored: bytes) -> JsonObject:
    return msgspec.json.decode(stored, type=JsonObject)

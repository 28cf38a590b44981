"""The demo organization "Acme CRM": made once, found again, never in production.

Two templates that need no outside service (one of them no answer at all), a signing key and a token. A release that
brings other templates publishes them anew at its first start; what was set up from the old ones keeps running.
Its credentials are kept sealed in the directory, so that ``make-bridge demo`` can print them again.
"""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any, Protocol

import msgspec

from make_bridge.domain.organizations.messages import NewOrganization, OrganizationCreated
from make_bridge.domain.templates.messages import CreateTemplate, EditTemplate, PublishTemplate
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.ids import OrganizationId, TemplateId
from make_bridge.platform.bus.commands import CommandBus

_FACT = "demo"
NAME = "Acme CRM"
USER = {"name": "Dana Miller", "email": "dana@acme-crm.example"}
_TEMPLATES = (
    ("order_desk", "Answers every order at once: small ones are thanked, large ones go to the priority lane."),
    ("order_review", "Sends orders above your limit to the person who should see them first."),
)


class DemoTemplate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A published template of the demo."""

    template_id: int
    version_id: int
    name: str
    content: str = ""
    """The digest of what was published; another release may bring another."""


class DemoFacts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the demo needs to play the integrator's part."""

    organization_id: int
    team_id: int
    key_id: str
    secret: str
    api_token: str
    templates: list[DemoTemplate]

    def __repr__(self) -> str:
        """Show no secret."""
        return f"DemoFacts({self.organization_id})"


class OrganizationMaker(Protocol):
    """Makes organizations."""

    async def create(self, new: NewOrganization) -> OrganizationCreated:
        """Create one."""
        ...


class SealedFacts(Protocol):
    """Keeps one sealed text under a name."""

    async def read_fact(self, name: str) -> bytes | None:
        """Return it opened, None when there is none."""
        ...

    async def write_fact(self, name: str, organization_id: OrganizationId, value: bytes) -> None:
        """Seal and keep it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """Makes or finds the demo."""

    organizations: OrganizationMaker
    commands: CommandBus
    facts: SealedFacts
    origins: tuple[str, ...]

    async def ensure(self) -> DemoFacts:
        """Return the demo's facts, making it on the first call."""
        facts = await self._found() or await self._created()
        context = _operator(OrganizationId(facts.organization_id))
        known = dict(enumerate(facts.templates))
        templates = [
            await self._current(context, known.get(at), name, text) for at, (name, text) in enumerate(_TEMPLATES)
        ]
        if templates != facts.templates:
            facts = msgspec.structs.replace(facts, templates=templates)
            await self._keep(facts)
        return facts

    async def _current(self, context: Context, known: DemoTemplate | None, name: str, text: str) -> DemoTemplate:
        """Return a template as this release has it, publishing it where it is new or other than before."""
        content = _digest(name, text)
        if known is None:
            return await self._publish(context, name, text, content)
        return known if known.content == content else await self._renew(context, known, name, text, content)

    async def _found(self) -> DemoFacts | None:
        stored = await self.facts.read_fact(_FACT)
        return None if stored is None else msgspec.json.decode(stored, type=DemoFacts)

    async def _created(self) -> DemoFacts:
        """Make the organization and keep its credentials before anything else can fail."""
        created = await self.organizations.create(NewOrganization(name=NAME, origins=self.origins, is_demo=True))
        facts = DemoFacts(
            organization_id=created.organization_id,
            team_id=created.team_id,
            key_id=created.key_id,
            secret=created.secret,
            api_token=created.api_token,
            templates=[],
        )
        await self._keep(facts)
        return facts

    async def _keep(self, facts: DemoFacts) -> None:
        await self.facts.write_fact(_FACT, OrganizationId(facts.organization_id), msgspec.json.encode(facts))

    async def _renew(
        self, context: Context, known: DemoTemplate, name: str, description: str, content: str
    ) -> DemoTemplate:
        edit = EditTemplate(
            template_id=TemplateId(known.template_id),
            blueprint=_resource(f"{name}.json"),
            controller=_resource(f"{name}.controller.json"),
            description=description,
        )
        template = await self.commands.execute(context, edit)
        version = await self.commands.execute(context, PublishTemplate(template_id=template.id))
        return DemoTemplate(template_id=template.id, version_id=version.id, name=template.name, content=content)

    async def _publish(self, context: Context, name: str, description: str, content: str) -> DemoTemplate:
        create = CreateTemplate(
            blueprint=_resource(f"{name}.json"),
            controller=_resource(f"{name}.controller.json"),
            description=description,
        )
        template = await self.commands.execute(context, create)
        version = await self.commands.execute(context, PublishTemplate(template_id=template.id))
        return DemoTemplate(template_id=template.id, version_id=version.id, name=template.name, content=content)


def _operator(organization_id: OrganizationId) -> Context:
    return Context(
        organization_id=organization_id,
        actor=Actor(kind=ActorKind.SYSTEM, reference="demo"),
        permissions=frozenset({"*"}),
        request_id="demo",
    )


def _digest(name: str, text: str) -> str:
    parts = (text.encode(), _raw(f"{name}.json"), _raw(f"{name}.controller.json"))
    return sha256(b"\0".join(parts)).hexdigest()


def _resource(name: str) -> dict[str, Any]:
    return msgspec.json.decode(_raw(name), type=dict[str, Any])


def _raw(name: str) -> bytes:
    return files("make_bridge.services").joinpath("demo_templates", name).read_bytes()

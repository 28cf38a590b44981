"""Templates on a real database: drafts, versions, withdrawal, and nobody else's eyes."""

import asyncio

import pytest

from make_bridge.domain.templates import handlers, views
from make_bridge.domain.templates.messages import (
    CreateTemplate,
    DeleteTemplate,
    EditTemplate,
    GetDraft,
    GetTemplateVersion,
    ListTemplates,
    PublishTemplate,
)
from make_bridge.domain.templates.store import TemplateStore
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus
from support.organizations import administrator, customer, data_keys_of, make_organization
from support.templates import blueprint, field


@pytest.fixture(scope="module")
def bus(shards):
    return CommandBus(handlers.commands(), shards, data_keys_of(shards))


@pytest.fixture(scope="module")
def ask(shards):
    return QueryBus(views.queries(), shards).ask


@pytest.fixture
async def organization_id(shards):
    return (await make_organization(shards)).organization_id


@pytest.fixture
def context(organization_id):
    return administrator(organization_id)


async def test_a_template_is_made_listed_and_read(bus, ask, context):
    template = await bus.execute(context, CreateTemplate(blueprint=blueprint()))
    assert template.name == "Tell the shops"
    assert template.used_packages == ("gateway", "http", "util")
    assert template.scheduling == {"type": "immediately"}
    assert template.published_version_id is None
    assert await ask(context, ListTemplates()) == [template]
    assert await ask(context, ListTemplates(published_only=True)) == []
    draft = await ask(context, GetDraft(template_id=template.id))
    assert (draft.number, draft.template_id, draft.blueprint) == (0, template.id, blueprint())
    assert len(draft.controller["fields"]) == 4


async def test_the_order_of_keys_and_odd_texts_survive(bus, ask, context):
    mapper = {"value": {"z": "\x00", "a": "😀", "m": '{{1."x"}}'}}
    document = {"flow": [{"id": 1, "module": "util:ComposeTransformer", "mapper": mapper}]}
    template = await bus.execute(context, CreateTemplate(blueprint=document))
    draft = await ask(context, GetDraft(template_id=template.id))
    assert list(draft.blueprint["flow"][0]["mapper"]["value"]) == ["z", "a", "m"]
    assert draft.blueprint["flow"][0]["mapper"]["value"]["z"] == "\x00"


async def test_publishing_freezes_a_version(bus, ask, context):
    template = await bus.execute(context, CreateTemplate(blueprint=blueprint()))
    first = await bus.execute(context, PublishTemplate(template_id=template.id))
    await bus.execute(context, EditTemplate(template_id=template.id, name="Second edition"))
    second = await bus.execute(context, PublishTemplate(template_id=template.id))
    assert (first.number, second.number) == (1, 2)
    assert (await ask(context, GetTemplateVersion(version_id=first.id))).name == "Tell the shops"
    assert (await ask(context, GetTemplateVersion(version_id=second.id))).name == "Second edition"
    [listed] = await ask(context, ListTemplates(published_only=True))
    assert listed.published_version_id == second.id


async def test_two_who_publish_at_once_get_two_numbers(bus, context):
    template = await bus.execute(context, CreateTemplate(blueprint=blueprint()))
    command = PublishTemplate(template_id=template.id)
    versions = await asyncio.gather(*(bus.execute(context, command) for _ in range(4)))
    assert sorted(version.number for version in versions) == [1, 2, 3, 4]


async def test_an_edit_keeps_what_it_does_not_name(bus, ask, context):
    own = {"version": 1, "fields": [field("mine", 3, "mapper", ["url"])]}
    template = await bus.execute(context, CreateTemplate(blueprint=blueprint(), controller=own))
    edited = await bus.execute(context, EditTemplate(template_id=template.id, description="New words"))
    draft = await ask(context, GetDraft(template_id=template.id))
    assert (edited.name, draft.description) == ("Tell the shops", "New words")
    assert [item["uuid"] for item in draft.controller["fields"]] == ["mine"]
    assert edited.updated_at > template.updated_at


async def test_a_refused_edit_changes_nothing(bus, ask, context):
    template = await bus.execute(context, CreateTemplate(blueprint=blueprint()))
    wrong = {"version": 1, "fields": [field("mine", 33, "mapper", ["url"])]}
    with pytest.raises(InvalidInput):
        await bus.execute(context, EditTemplate(template_id=template.id, name="Lost", controller=wrong))
    assert (await ask(context, GetDraft(template_id=template.id))).name == "Tell the shops"


async def test_unknown_modules_are_kept_and_not_published(bus, ask, context):
    document = blueprint(flow=[{"id": 4, "module": "acme:Send", "mapper": {}}])
    template = await bus.execute(context, CreateTemplate(blueprint=document))
    with pytest.raises(Conflict, match=r"module 4 at flow\[0\].*acme:Send"):
        await bus.execute(context, PublishTemplate(template_id=template.id))
    assert (await ask(context, ListTemplates(published_only=True))) == []


async def test_a_withdrawn_template_is_out_of_sight_but_its_versions_stay(bus, ask, context, shards):
    template = await bus.execute(context, CreateTemplate(blueprint=blueprint()))
    version = await bus.execute(context, PublishTemplate(template_id=template.id))
    await bus.execute(context, DeleteTemplate(template_id=template.id))
    assert await ask(context, ListTemplates()) == []
    for question in (GetDraft(template_id=template.id), GetTemplateVersion(version_id=version.id)):
        with pytest.raises(NotFound):
            await ask(context, question)
    for command in (
        DeleteTemplate(template_id=template.id),
        EditTemplate(template_id=template.id, name="x"),
        PublishTemplate(template_id=template.id),
    ):
        with pytest.raises(NotFound):
            await bus.execute(context, command)
    shard = await shards.of(context.organization_id)
    async with shard.read(context.organization_id) as tx:
        kept = await TemplateStore().version(tx, context.organization_id, version.id)
    assert kept == version


async def test_pages_follow_one_another(bus, ask, context):
    made = [(await bus.execute(context, CreateTemplate(blueprint=blueprint()))).id for _ in range(3)]
    first = await ask(context, ListTemplates(limit=2))
    rest = await ask(context, ListTemplates(after=first[-1].id, limit=2))
    assert [template.id for template in (*first, *rest)] == made
    assert len(await ask(context, ListTemplates(limit=-5))) == 1


async def test_another_organization_sees_and_changes_nothing(bus, ask, context, shards):
    template = await bus.execute(context, CreateTemplate(blueprint=blueprint()))
    version = await bus.execute(context, PublishTemplate(template_id=template.id))
    stranger = administrator((await make_organization(shards)).organization_id)
    assert await ask(stranger, ListTemplates()) == []
    for question in (GetDraft(template_id=template.id), GetTemplateVersion(version_id=version.id)):
        with pytest.raises(NotFound):
            await ask(stranger, question)
    for command in (
        EditTemplate(template_id=template.id, name="Mine now"),
        PublishTemplate(template_id=template.id),
        DeleteTemplate(template_id=template.id),
    ):
        with pytest.raises(NotFound):
            await bus.execute(stranger, command)
    assert (await ask(context, GetDraft(template_id=template.id))).name == "Tell the shops"


async def test_a_customer_sees_what_is_published_and_no_drafts(bus, ask, context):
    hidden = await bus.execute(context, CreateTemplate(blueprint=blueprint()))
    shown = await bus.execute(context, CreateTemplate(blueprint=blueprint()))
    version = await bus.execute(context, PublishTemplate(template_id=shown.id))
    dana = customer(context.organization_id, "dana")
    assert [template.id for template in await ask(dana, ListTemplates())] == [shown.id]
    assert (await ask(dana, GetTemplateVersion(version_id=version.id))).id == version.id
    with pytest.raises(NotFound):
        await ask(dana, GetDraft(template_id=hidden.id))
    with pytest.raises(PermissionDenied):
        await bus.execute(dana, CreateTemplate(blueprint=blueprint()))


async def test_every_act_leaves_an_audit_row(bus, context, shards):
    template = await bus.execute(context, CreateTemplate(blueprint=blueprint()))
    await bus.execute(context, PublishTemplate(template_id=template.id))
    shard = await shards.of(context.organization_id)
    async with shard.read(context.organization_id) as tx:
        rows = await tx.all("SELECT action, object, actor FROM shard.audit ORDER BY id")
    assert [(row["action"], row["object"]) for row in rows] == [
        ("template.create", f"template/{template.id}"),
        ("template.publish", f"template/{template.id}"),
    ]

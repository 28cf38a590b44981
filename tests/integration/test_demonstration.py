"""The demo organization on a real database: made once, and its templates as new as the release."""

from dataclasses import dataclass, field

import msgspec
import pytest

from make_bridge.domain.templates import handlers, views
from make_bridge.domain.templates.messages import GetTemplateVersion, ListTemplates
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.services.demonstration import DemoFacts, Demonstration
from support.organizations import administrator, data_keys_of, service_of

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")


@dataclass
class Facts:
    """Keeps facts in memory, unsealed, and counts how often they were written."""

    kept: dict[str, bytes] = field(default_factory=dict)
    writes: int = 0

    async def read_fact(self, name):
        return self.kept.get(name)

    async def write_fact(self, name, organization_id, value):
        self.kept[name] = value
        self.writes += 1


@pytest.fixture
def facts():
    return Facts()


@pytest.fixture
def demonstration(shards, facts):
    commands = CommandBus(handlers.commands(), shards, data_keys_of(shards))
    return Demonstration(
        organizations=service_of(shards), commands=commands, facts=facts, origins=("http://127.0.0.1:8080",)
    )


@pytest.fixture
def ask(shards):
    return QueryBus(views.queries(), shards).ask


async def test_it_is_made_once_and_found_again(demonstration, facts):
    made = await demonstration.ensure()
    writes = facts.writes
    assert await demonstration.ensure() == made
    assert facts.writes == writes


async def test_templates_of_an_older_release_are_published_anew(demonstration, facts, ask):
    made = await demonstration.ensure()
    older = [msgspec.structs.replace(template, content="") for template in made.templates]
    facts.kept["demo"] = msgspec.json.encode(msgspec.structs.replace(made, templates=older))
    renewed = await demonstration.ensure()
    assert [template.template_id for template in renewed.templates] == [one.template_id for one in made.templates]
    context = administrator(made.organization_id)
    published = {template.id: template.published_version_id for template in await ask(context, ListTemplates())}
    for before, now in zip(made.templates, renewed.templates, strict=True):
        assert published[now.template_id] == now.version_id > before.version_id
        assert (await ask(context, GetTemplateVersion(version_id=before.version_id))).number == 1
    assert msgspec.json.decode(facts.kept["demo"], type=DemoFacts) == renewed

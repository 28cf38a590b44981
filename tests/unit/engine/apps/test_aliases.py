"""Other names of modules find them, and count for nothing else."""

import re

import pytest

from make_bridge.engine.apps.aliases import ALIASES
from make_bridge.engine.apps.catalogue import CATALOGUE, catalogue_of
from make_bridge.engine.apps.module import ModuleSpec
from make_bridge.engine.apps.tools import MODULES
from support.one_module import outputs


@pytest.mark.parametrize(("alias", "name"), ALIASES.items(), ids=ALIASES.keys())
def test_an_alias_means_one_module_and_is_none_itself(alias, name):
    assert re.fullmatch(r"[a-z][a-z0-9-]*:[A-Za-z0-9]+", alias)
    assert CATALOGUE[alias] is CATALOGUE[name] is CATALOGUE.get(alias)
    assert alias in CATALOGUE
    assert alias not in list(CATALOGUE)


async def test_a_blueprint_may_use_an_alias():
    assert await outputs("math:Evaluate", {"expression": "1 + 1"}) == [{"result": 2}]


def test_an_alias_of_nothing_is_a_mistake_of_the_program():
    for aliases in ({"util:Other": "util:Nothing"}, {"util:Switcher": "util:SetVariable2"}):
        with pytest.raises(ValueError, match="means no module"):
            catalogue_of(MODULES, aliases=aliases)


def test_what_is_in_no_list_is_not_found():
    assert CATALOGUE.get("csv:Nothing") is None
    assert len(CATALOGUE) == len(list(CATALOGUE)) >= 60
    assert all(isinstance(CATALOGUE[name], ModuleSpec) for name in CATALOGUE)

"""The templates that come with the server: each may be published as it is, and its id is no row's."""

import pytest

from make_bridge.domain.templates.model import DraftParts, new_draft, require_publishable
from make_bridge.domain.templates.ready_made import ready_made
from make_bridge.engine.apps.catalogue import CATALOGUE

READY_MADE = ready_made()
SMALLEST_ROW = 1024


@pytest.mark.parametrize("each", READY_MADE, ids=lambda each: each.template.name)
def test_each_may_be_published_and_says_what_it_does(each):
    draft = new_draft(DraftParts(blueprint=each.blueprint), CATALOGUE, language="en", visibility="public")
    require_publishable(draft, CATALOGUE)
    assert len(each.template.description) > 50
    assert each.template.used_packages


def test_their_ids_are_small_and_their_own():
    numbers = [each.template.id for each in READY_MADE]
    assert numbers == sorted(set(numbers))
    assert max(numbers) < SMALLEST_ROW


def test_several_call_by_http():
    assert sum("http" in each.template.used_packages for each in READY_MADE) > 1

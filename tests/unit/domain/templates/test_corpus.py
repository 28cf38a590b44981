"""Genuine exports as templates: each can be kept, gets a controller that fits, and a form."""

import pytest

from make_bridge.domain.templates.controller import read_controller, write_controller
from make_bridge.domain.templates.controller_check import check_controller
from make_bridge.domain.templates.fill import fill_blueprint
from make_bridge.domain.templates.form import build_form
from make_bridge.domain.templates.model import DraftParts, edited_draft, new_draft
from make_bridge.domain.templates.places import Domain, Ground
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.findings import BlueprintInvalid
from make_bridge.kernel import json


def drafts(corpus):
    for path in sorted(corpus.glob("*/*.json")):
        try:
            document = json.loads(
                path.read_bytes(), max_bytes=10_000_000, max_depth=400, allow_nul=True, allow_bom=True
            )
            yield (
                path.name,
                new_draft(
                    DraftParts(blueprint={"blueprint": document}), CATALOGUE, language="en", visibility="private"
                ),
            )
        except BlueprintInvalid:
            continue  # the engine's own corpus test says which are none


@pytest.fixture(scope="module")
def templates(corpus):
    found = list(drafts(corpus))
    assert len(found) > 30
    return found


def test_every_derived_controller_fits_and_survives_its_file(templates):
    for _name, draft in templates:
        check_controller(draft.controller, Ground(draft.blueprint, CATALOGUE, draft.scheduling))
        assert read_controller(write_controller(draft.controller)) == draft.controller


def test_importing_again_keeps_every_uuid(templates):
    for _name, draft in templates:
        again = edited_draft(draft, DraftParts(blueprint=draft.blueprint.document), CATALOGUE)
        assert again.controller == draft.controller


def test_every_template_gives_a_form_that_can_be_shown(templates):
    for _name, draft in templates:
        form = build_form(Ground(draft.blueprint, CATALOGUE, draft.scheduling), draft.controller)
        shown = [field for step in form.steps for field in form.describe(step, {})]
        assert json.dumps(shown)
        asked = [field for field in draft.controller.fields if field.reuse is None]
        assert len(shown) == len(asked)


def test_chosen_components_reach_every_module_that_needs_them(templates):
    filled_in = 0
    for _name, draft in templates:
        answers = {
            field.uuid: 4096
            for field in draft.controller.fields
            if field.place.domain in {Domain.CONNECTION, Domain.KEY, Domain.HOOK} and field.reuse is None
        }
        filled = fill_blueprint(draft.blueprint.document, draft.controller, answers)
        ground = Ground(
            new_draft(DraftParts(blueprint=filled), CATALOGUE, language="en", visibility="private").blueprint,
            CATALOGUE,
            {},
        )
        for field in draft.controller.fields:
            if field.place.domain in {Domain.CONNECTION, Domain.KEY, Domain.HOOK}:
                spot = ground.find(field.place)
                assert spot is not None
                assert spot.value == 4096
                filled_in += 1
    assert filled_in > 20

"""Every template of the collected blueprints: parses, prints, parses to the same tree, and compiles."""

import json

from make_bridge.engine.iml import compile_template
from make_bridge.engine.iml.parser import parse_template
from make_bridge.engine.iml.printer import print_template

NOT_OF_THE_LANGUAGE = {"escapeJSON", "or", "toJSON", "empty", "greaterOrEqual", "exists", "multiply"}


def texts_in(document):
    waiting = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def templates_in(corpus):
    found: dict[str, str] = {}
    for path in sorted(corpus.glob("*/*.json")):
        for text in texts_in(json.loads(path.read_text(encoding="utf-8-sig"))):
            if "{{" in text:
                found.setdefault(text, path.name)
    assert len(found) > 100
    return found


def test_every_template_survives_parse_print_parse(corpus):
    for text in templates_in(corpus):
        parts = parse_template(text)

        assert parse_template(print_template(parts)) == parts


def test_every_template_compiles_and_calls_functions_that_exist(corpus):
    unknown: set[str] = set()
    for text in templates_in(corpus):
        unknown |= compile_template(text).unknown_functions

    assert unknown <= NOT_OF_THE_LANGUAGE


def test_every_template_evaluates_without_data(corpus, make_scope):
    """Nothing upstream is null everywhere; what the templates do with null is no error."""
    failures = {}
    for text in templates_in(corpus):
        template = compile_template(text)
        if not template.unknown_functions:
            try:
                template.evaluate(make_scope())
            except Exception as error:  # noqa: BLE001 - all failures are shown together
                failures[text] = error

    assert failures == {}

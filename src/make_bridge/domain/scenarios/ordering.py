"""The ordering key of a scenario: an expression whose text says which runs go one after the other.

Called where an integrator sets it; ``domain/executions/ordering.py`` evaluates it when a run is accepted. It is checked
here, because later nobody is there to be told: an expression that cannot be read, that reads another module than the
trigger, or that gives every run the same text would silently order nothing, or everything.
"""

from typing import Final

from make_bridge.domain.scenarios.messages import Ordering, Scenario
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml import Template, compile_template
from make_bridge.kernel.errors import InvalidInput

MAX_EXPRESSION: Final = 1000
FAMILIES: Final = frozenset({"input", "scenario"})


def checked_expression(text: str | None, blueprint: bytes) -> str | None:
    """Return the expression as it is stored, None for none; raises InvalidInput with what is wrong with it."""
    if text is None or not text.strip():
        return None
    if len(text) > MAX_EXPRESSION:
        raise _wrong(f"The ordering key has {len(text)} characters: at most {MAX_EXPRESSION} are allowed.")
    try:
        template = compile_template(text)
    except ExpressionError as error:
        raise _wrong(f"The ordering key cannot be read: {error}") from None
    if template.unknown_functions:
        raise _wrong(f"The ordering key calls unknown functions: {', '.join(sorted(template.unknown_functions))}.")
    _require_references(template, _trigger_of(blueprint))
    return text


def _require_references(template: Template, trigger: int | None) -> None:
    if not template.references:
        message = "The ordering key reads nothing of the trigger, so it is the same for all runs"
        raise _wrong(f"{message}: name one of its items, as in {{{{{trigger or 1}.customerId}}}}.")
    for reference in template.references:
        if reference.module_id is not None and reference.module_id != trigger:
            only = "this scenario has no trigger" if trigger is None else f"only the trigger, {trigger}, has run then"
            raise _wrong(f"The ordering key reads module {reference.module_id}, but {only}.")
        family = str(reference.path[0]) if reference.path else ""
        if reference.module_id is None and family not in FAMILIES:
            raise _wrong(f"The ordering key reads {family or 'var'}, which is not known when a run is accepted.")


def _trigger_of(blueprint: bytes) -> int | None:
    parsed = parse_blueprint(blueprint)
    return next((node.id for node in parsed.flow if not node.skipped), None)


def ordering_of(scenario: Scenario, blueprint: bytes) -> Ordering:
    """Return how the runs of a scenario are ordered."""
    settings = parse_blueprint(blueprint).settings
    return Ordering(scenario_id=scenario.id, expression=scenario.ordering_key, is_sequential=settings.sequential)


def _wrong(message: str) -> InvalidInput:
    return InvalidInput(message, code="ordering_key_invalid", fields={"orderingKey": message})

"""Values an integrator gives before the customer is asked.

``hard`` fixes a value: its field is not asked. ``soft`` proposes one. Both are checked like answers,
and a mistake names the uuid: it is the integrator's program that has to be mended.
"""

from collections.abc import Iterator
from dataclasses import replace

from make_bridge.domain.templates.answers import wrong_answer
from make_bridge.domain.templates.controller import Controller
from make_bridge.domain.templates.form import FormField, Values, build_form
from make_bridge.domain.templates.places import Ground
from make_bridge.kernel.errors import InvalidInput


def check_prefill(ground: Ground, controller: Controller, hard: Values, soft: Values) -> None:
    """Raise InvalidInput that names every uuid whose value cannot be taken."""
    errors = dict(_findings(ground, controller, hard, soft))
    if errors:
        first = next(iter(errors.values()))
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise InvalidInput(f"{first}{more}", code="prefill_invalid", fields=errors)


def _findings(ground: Ground, controller: Controller, hard: Values, soft: Values) -> Iterator[tuple[str, str]]:
    # Hidden fields can be fixed: for the check they are asked like all others.
    open_to_hard = tuple(replace(field, show=True, reuse=None) for field in controller.fields)
    all_fields = _by_uuid(ground, replace(controller, fields=open_to_hard))
    asked = _by_uuid(ground, controller)
    for uuid, value in hard.items():
        field = all_fields.get(uuid)
        yield from _wrong("hard", uuid, field, value, ground)
    for uuid, value in soft.items():
        if uuid in all_fields and uuid not in asked:
            yield uuid, f"The prefill of {uuid} is soft, but this field is not shown: only prefill.hard can set it."
        else:
            yield from _wrong("soft", uuid, asked.get(uuid), value, ground)


def _by_uuid(ground: Ground, controller: Controller) -> dict[str, FormField]:
    return {field.uuid: field for field in build_form(ground, controller).fields()}


def _wrong(kind: str, uuid: str, field: FormField | None, value: object, ground: Ground) -> Iterator[tuple[str, str]]:
    if field is None:
        yield uuid, f"The template has no field {uuid}, which prefill.{kind} sets."
        return
    sentence = wrong_answer(replace(field, required=False), value, ground)
    if sentence is not None:
        yield uuid, f"The value of {uuid} in prefill.{kind} does not fit its field '{field.label}': {sentence}"

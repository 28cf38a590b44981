"""The wizard's form: what is asked of a customer, in which order, with which description.

Made from a template version and the modules' own descriptions, so that a new field type or module
reaches the wizard without a change there. The flow adds what only it knows: the values so far,
errors, existing components, the address of a hook.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from make_bridge.domain.templates.controller import Controller, ControllerField, ControllerStep, ShowWhen, text_for
from make_bridge.domain.templates.mapping_items import MappingItem, mapping_items
from make_bridge.domain.templates.places import ASKED_COMPONENTS, Domain, Ground, Place
from make_bridge.engine.apps.fields import Field

JsonObject = dict[str, Any]
Values = Mapping[str, object]

# Said once in the flow's own words; a field's wire type is the kind of component.
_COMPONENT_TYPES: Final = {Domain.CONNECTION: "connection", Domain.KEY: "key", Domain.HOOK: "hook"}
_FROM_DESCRIPTION: Final = ("multiline", "options", "default", "validate", "spec")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentNeed:
    """The component a field asks for; ``type`` is the part after the colon, such as apikeyauth."""

    kind: str
    type: str
    app: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field as it is asked."""

    uuid: str
    place: Place
    field: Field
    label: str
    help: str | None
    required: bool
    allow_mapping: bool
    show_when: ShowWhen | None
    initial: object
    items: tuple[MappingItem, ...]
    component: ComponentNeed | None

    def describe(self, *, conditional: bool = True) -> JsonObject:
        """Return the field in the wizard's shape, without value, error and what only the flow knows."""
        described = self.field.describe()
        wire: JsonObject = {name: described.get(name) for name in _FROM_DESCRIPTION}
        when = self.show_when if conditional else None
        need = self.component
        return wire | {
            "uuid": self.uuid,
            "name": self.field.name,
            "label": self.label,
            "help": self.help,
            "type": _COMPONENT_TYPES.get(self.place.domain, self.field.type),
            "required": self.required,
            "multiline": self.field.multiline,
            "options": described.get("options", []),
            "showWhen": None if when is None else {"uuid": when.uuid, "equals": when.equals},
            "allowMapping": self.allow_mapping,
            "items": [{"label": item.label, "expression": item.expression} for item in self.items],
            "component": None if need is None else {"kind": need.kind, "app": need.app, "label": need.label},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FormStep:
    """One page."""

    id: str
    title: str
    description: str
    fields: tuple[FormField, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """All pages, and the values that are known before the first."""

    steps: tuple[FormStep, ...]
    known: Values
    """By uuid: fixed values, values of hidden fields, and the template's initial values."""

    def step(self, step_id: str) -> FormStep | None:
        """Return a page by its id."""
        return next((step for step in self.steps if step.id == step_id), None)

    def fields(self) -> Iterator[FormField]:
        """Return every asked field in order."""
        return (field for step in self.steps for field in step.fields)

    def asked(self, step: FormStep, values: Values) -> tuple[FormField, ...]:
        """Return the fields of a page whose condition holds, given the answers so far."""
        fields = {field.uuid: field for field in self.fields()}
        known = {**self.known, **values}
        return tuple(field for field in step.fields if _holds(field, fields, known))

    def describe(self, step: FormStep, values: Values) -> list[JsonObject]:
        """Return a page's fields in the wizard's shape.

        A condition on another field of the page is left to the page; every other is decided here.
        """
        here = {field.uuid: field for field in step.fields}
        asked = {field.uuid for field in self.asked(step, values)}
        described = []
        for field in step.fields:
            on_this_page = field.show_when is not None and field.show_when.uuid in here
            if on_this_page or field.uuid in asked:
                described.append(field.describe(conditional=on_this_page))
        return described


def build_form(ground: Ground, controller: Controller, *, language: str = "en", hard: Values | None = None) -> Form:
    """Return the form of a template; fields with a value in ``hard`` are fixed and not asked."""
    maker = _Maker(ground, language, hard or {})
    asked = [field for field in map(maker.field, controller.fields) if field is not None]
    return Form(
        steps=tuple(step for step in maker.steps(controller, asked) if step.fields),
        known={field.uuid: value for field in controller.fields if (value := maker.known(field)) is not None},
    )


def same_value(one: object, other: object) -> bool:
    """Compare as JSON does: true is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def _holds(field: FormField, fields: Mapping[str, FormField], values: Values) -> bool:
    """Follow the conditions: a field that is not asked itself shows nothing."""
    current: FormField | None = field
    while current is not None and current.show_when is not None:
        when = current.show_when
        if not same_value(values.get(when.uuid), when.equals):
            return False
        current = fields.get(when.uuid)
    return True


class _Maker:
    """What all fields of one form have in common."""

    def __init__(self, ground: Ground, language: str, hard: Values) -> None:
        self.ground = ground
        self.language = language
        self.hard = hard

    def field(self, field: ControllerField) -> FormField | None:
        """Return the field as it is asked; None when it is hidden, fixed or taken over."""
        spot = self.ground.find(field.place)
        if spot is None or not field.show or field.reuse is not None or field.uuid in self.hard:
            return None
        component = self.component(field.place, spot.field)
        described = text_for(field.label, self.language) or spot.field.label or spot.field.name
        module_id = field.place.module_id
        return FormField(
            uuid=field.uuid,
            place=field.place,
            field=spot.field,
            label=described,
            help=text_for(field.help, self.language) or spot.field.help or None,
            required=spot.field.required if field.required is None else field.required,
            allow_mapping=field.allow_mapping,
            show_when=field.show_when,
            initial=spot.value if field.use_value and component is None else None,
            items=mapping_items(self.ground, module_id) if field.allow_mapping and module_id is not None else (),
            component=component,
        )

    def known(self, field: ControllerField) -> object:
        if field.uuid in self.hard:
            return self.hard[field.uuid]
        spot = self.ground.find(field.place)
        own = field.place.domain not in ASKED_COMPONENTS  # the template's components belong to its author
        return spot.value if spot is not None and (not field.show or (field.use_value and own)) else None

    def component(self, place: Place, field: Field) -> ComponentNeed | None:
        node = self.ground.module(place.module_id)
        if node is None or place.domain not in ASKED_COMPONENTS:
            return None
        return ComponentNeed(
            kind=place.domain.value,
            type=field.type.partition(":")[2],
            app=node.app,
            label=field.label or field.name,
        )

    def steps(self, controller: Controller, asked: list[FormField]) -> Iterator[FormStep]:
        listed = {uuid for step in controller.steps for uuid in step.fields}
        by_uuid = {field.uuid: field for field in asked}
        rest = [field for field in asked if field.uuid not in listed]
        pages = [
            *self.component_pages(field for field in rest if field.component is not None),
            *(self.own_page(step, by_uuid) for step in controller.steps),
            *self.module_pages([field for field in rest if field.component is None]),
        ]
        for index, (title, fields) in enumerate(pages, 1):
            yield FormStep(id=f"s{index}", title=title, description="", fields=tuple(fields))

    def own_page(self, step: ControllerStep, fields: Mapping[str, FormField]) -> tuple[str, list[FormField]]:
        page = [fields[uuid] for uuid in step.fields if uuid in fields]
        title = text_for(step.title, self.language)
        return title or self.ground.module_label(page[0].place.module_id if page else None), page

    def component_pages(self, fields: Iterable[FormField]) -> Iterator[tuple[str, list[FormField]]]:
        by_app: dict[str, list[FormField]] = {}
        for field in fields:
            by_app.setdefault(field.component.app if field.component else "", []).append(field)
        for app, group in by_app.items():
            yield self.ground.app_label(app), group

    def module_pages(self, fields: list[FormField]) -> Iterator[tuple[str, list[FormField]]]:
        by_module: dict[int | None, list[FormField]] = {node.id: [] for node in self.ground.modules()} | {None: []}
        for field in fields:
            by_module.setdefault(field.place.module_id, []).append(field)
        for module_id, group in by_module.items():
            yield self.ground.module_label(module_id), group

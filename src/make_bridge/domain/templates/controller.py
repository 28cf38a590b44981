"""The controller: which fields of a template a customer may set, and how they are asked.

``read_controller`` takes the JSON of a file or a request to the model and names everything wrong with
its shape; ``controller_check`` compares the model with a blueprint, ``controller_default`` makes one
from a blueprint. The format is ours and described in the templates reference.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from make_bridge.domain.templates.places import Domain, Key, Place
from make_bridge.kernel.errors import InvalidInput

JsonObject = dict[str, Any]
Texts = Mapping[str, str]

VERSION: Final = 1
MAX_FIELDS: Final = 500
MAX_PATH: Final = 20
_UUID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_MEMBERS: Final = frozenset(
    {"uuid", "moduleId", "domain", "path", "label", "help", "show", "useValue", "allowMapping", "required"}
    | {"reuse", "showWhen"}
)
_SCALARS: Final = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowWhen:
    """Asked only when another field has a value."""

    uuid: str
    equals: object


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerField:
    """One field. ``required`` is None where the controller leaves it to the module."""

    uuid: str
    place: Place
    label: Texts
    help: Texts
    show: bool = True
    use_value: bool = True
    allow_mapping: bool = False
    required: bool | None = None
    reuse: str | None = None
    show_when: ShowWhen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerStep:
    """A page of the wizard."""

    title: Texts
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """A whole controller; without steps the default grouping holds."""

    fields: tuple[ControllerField, ...]
    steps: tuple[ControllerStep, ...] = ()

    def field(self, uuid: str) -> ControllerField | None:
        """Return the field with this uuid."""
        return next((field for field in self.fields if field.uuid == uuid), None)


class ControllerInvalid(InvalidInput):
    """The controller does not fit its template."""

    code = "controller_invalid"

    def __init__(self, findings: Iterable[tuple[str, str]]) -> None:
        """``findings`` are (uuid, sentence); the sentence names the uuid too."""
        self.findings = tuple(findings)
        more = f" (and {len(self.findings) - 1} more)" if len(self.findings) > 1 else ""
        fields: dict[str, str] = {}
        for uuid, sentence in self.findings:
            fields[uuid] = f"{fields[uuid]} {sentence}" if uuid in fields else sentence
        super().__init__(f"{self.findings[0][1]}{more}" if self.findings else None, fields=fields)


def text_for(texts: Texts, language: str) -> str | None:
    """Return the text in a language, its main language, English, or whichever there is."""
    for wanted in (language, language.partition("-")[0], "en"):
        if wanted in texts:
            return texts[wanted]
    return next(iter(texts.values()), None)


def read_controller(raw: object) -> Controller:
    """Return the controller a JSON value describes, or raise ControllerInvalid with all that is wrong."""
    return _Reader().controller(raw)


def write_controller(controller: Controller) -> JsonObject:
    """Return the controller as JSON, every member written out."""
    return {
        "version": VERSION,
        "fields": [_field_json(field) for field in controller.fields],
        "steps": [{"title": dict(step.title), "fields": list(step.fields)} for step in controller.steps],
    }


def _field_json(field: ControllerField) -> JsonObject:
    when = field.show_when
    return {
        "uuid": field.uuid,
        "moduleId": field.place.module_id,
        "domain": field.place.domain.value,
        "path": list(field.place.path),
        "label": dict(field.label),
        "help": dict(field.help),
        "show": field.show,
        "useValue": field.use_value,
        "allowMapping": field.allow_mapping,
        "required": field.required,
        "reuse": field.reuse,
        "showWhen": None if when is None else {"uuid": when.uuid, "equals": when.equals},
    }


class _Reader:
    """One reading; collects findings instead of stopping at the first."""

    def __init__(self) -> None:
        self.findings: list[tuple[str, str]] = []

    def controller(self, raw: object) -> Controller:
        if not isinstance(raw, Mapping):
            raise ControllerInvalid([("controller", "A controller is a JSON object.")])
        if raw.get("version") != VERSION:
            self.say("version", f"The controller's version is {raw.get('version')!r}; this server reads {VERSION}.")
        fields = self.array(raw.get("fields"), "fields")
        if len(fields) > MAX_FIELDS:
            raise ControllerInvalid([("fields", f"A controller has at most {MAX_FIELDS} fields.")])
        read = [self.field(item, index) for index, item in enumerate(fields)]
        steps = [self.step(item, index) for index, item in enumerate(self.array(raw.get("steps"), "steps"))]
        if self.findings:
            raise ControllerInvalid(self.findings)
        return Controller(
            fields=tuple(field for field in read if field is not None),
            steps=tuple(step for step in steps if step is not None),
        )

    def say(self, uuid: str, sentence: str) -> None:
        self.findings.append((uuid, sentence))

    def array(self, raw: object, name: str) -> list[object]:
        if raw is None:
            return []
        if not isinstance(raw, list):
            self.say(name, f"The controller's '{name}' must be an array.")
            return []
        return raw

    def field(self, raw: object, index: int) -> ControllerField | None:
        uuid = raw.get("uuid") if isinstance(raw, Mapping) else None
        if not isinstance(raw, Mapping) or not isinstance(uuid, str) or not _UUID.fullmatch(uuid):
            self.say(f"fields[{index}]", f"Field {index} of the controller has no uuid of letters, digits and dashes.")
            return None
        for name in sorted(set(raw) - _MEMBERS):
            self.say(uuid, f"Field {uuid} has a member '{name}' that a controller does not know.")
        place = self.place(raw, uuid)
        required = raw.get("required")
        if required is not None and not isinstance(required, bool):
            self.say(uuid, f"Field {uuid}: 'required' must be true, false or null.")
        reuse = raw.get("reuse")
        if reuse is not None and not isinstance(reuse, str):
            self.say(uuid, f"Field {uuid}: 'reuse' must be the uuid of another field.")
        if place is None:
            return None
        return ControllerField(
            uuid=uuid,
            place=place,
            label=self.texts(raw.get("label"), uuid, "label"),
            help=self.texts(raw.get("help"), uuid, "help"),
            show=self.flag(raw, "show", uuid, default=True),
            use_value=self.flag(raw, "useValue", uuid, default=True),
            allow_mapping=self.flag(raw, "allowMapping", uuid, default=False),
            required=required if isinstance(required, bool) else None,
            reuse=reuse if isinstance(reuse, str) else None,
            show_when=self.show_when(raw.get("showWhen"), uuid),
        )

    def place(self, raw: Mapping[str, object], uuid: str) -> Place | None:
        module_id, domain, path = raw.get("moduleId"), raw.get("domain"), raw.get("path")
        known = [member.value for member in Domain]
        if domain not in known:
            self.say(uuid, f"Field {uuid}: the domain {domain!r} is none of {', '.join(known)}.")
            return None
        scenario_wide = domain == Domain.SCHEDULE
        if scenario_wide and module_id is not None:
            self.say(uuid, f"Field {uuid} belongs to the schedule, so its moduleId must be null.")
        if not scenario_wide and (not isinstance(module_id, int) or isinstance(module_id, bool)):
            self.say(uuid, f"Field {uuid} has no moduleId; it must be the number of a module.")
        keys = self.path(path, uuid)
        return Place(
            module_id=module_id if isinstance(module_id, int) and not scenario_wide else None,
            domain=Domain(str(domain)),
            path=keys,
        )

    def path(self, raw: object, uuid: str) -> tuple[Key, ...]:
        if not isinstance(raw, list) or len(raw) > MAX_PATH:
            self.say(uuid, f"Field {uuid}: the path must be an array of at most {MAX_PATH} keys and indices.")
            return ()
        if any(isinstance(key, bool) or not isinstance(key, str | int) for key in raw):
            self.say(uuid, f"Field {uuid}: the path may hold only keys (text) and indices (whole numbers).")
            return ()
        return tuple(raw)

    def flag(self, raw: Mapping[str, object], name: str, uuid: str, *, default: bool) -> bool:
        value = raw.get(name, default)
        if not isinstance(value, bool):
            self.say(uuid, f"Field {uuid}: '{name}' must be true or false.")
            return default
        return value

    def texts(self, raw: object, uuid: str, name: str) -> Texts:
        if raw is None:
            return {}
        if not isinstance(raw, Mapping):
            self.say(uuid, f'Field {uuid}: \'{name}\' must be an object of texts by language, such as {{"en": "…"}}.')
            return {}
        for language, text in raw.items():
            if not _LANGUAGE.fullmatch(str(language)) or not isinstance(text, str):
                self.say(uuid, f"Field {uuid}: '{name}' has an entry {language!r} that is no text of a language.")
                return {}
        return dict(raw)

    def show_when(self, raw: object, uuid: str) -> ShowWhen | None:
        if raw is None:
            return None
        target = raw.get("uuid") if isinstance(raw, Mapping) else None
        if not isinstance(raw, Mapping) or not isinstance(target, str) or "equals" not in raw:
            self.say(uuid, f"Field {uuid}: 'showWhen' must hold the 'uuid' of another field and what it 'equals'.")
            return None
        if not isinstance(raw["equals"], _SCALARS):
            self.say(uuid, f"Field {uuid}: 'showWhen.equals' must be a single value.")
            return None
        return ShowWhen(uuid=target, equals=raw["equals"])

    def step(self, raw: object, index: int) -> ControllerStep | None:
        name = f"steps[{index}]"
        fields = raw.get("fields") if isinstance(raw, Mapping) else None
        if not isinstance(raw, Mapping) or not isinstance(fields, list):
            self.say(name, f"Step {index} of the controller must hold a 'title' and an array of 'fields'.")
            return None
        if not all(isinstance(uuid, str) for uuid in fields):
            self.say(name, f"Step {index} of the controller may list only uuids.")
            return None
        return ControllerStep(title=self.texts(raw.get("title"), name, "title"), fields=tuple(fields))

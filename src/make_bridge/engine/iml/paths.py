"""Finding a value inside another (spec §4, and ``get`` of §7.1).

Plain data semantics: a collection has its own keys and nothing else, so names such as ``constructor`` or
``__class__`` are keys like any other. What is not there is null, never an error.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from make_bridge.engine.iml.compiled import Evaluator
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.syntax import Segment
from make_bridge.engine.numbers import number_to_text
from make_bridge.engine.values import Value

_STEP: Final = re.compile(r"[^.\[\]]+")
_LONGEST_POSITION: Final = 15


def descend(value: Value, segments: Sequence[Segment]) -> Value:
    """Follow the segments of a reference; ``[]`` means the first element, or the whole array at the end."""
    last = len(segments) - 1
    for index, segment in enumerate(segments):
        if isinstance(segment, str):
            value = value.get(segment) if isinstance(value, dict) else None
        elif not isinstance(value, list):
            return None
        elif segment is None:
            if index < last:
                value = value[0] if value else None
        else:
            value = value[segment - 1] if 0 < segment <= len(value) else None
    return value


def find(value: Value, path: Value, scope: Scope) -> Value:
    """Follow a computed path: a number or dotted text; positions in arrays count from 1."""
    if isinstance(path, str):
        if isinstance(value, dict) and path in value:
            return value[path]
        scope.budget.scan(len(path))
        return _follow(value, _steps(path), scope)
    return finder(path)(value, scope)


def finder(path: Value) -> Callable[[Value, Scope], Value]:
    """Return ``find`` for one path, which is looked at here."""
    if isinstance(path, (int, float)) and not isinstance(path, bool):
        position = number_to_text(path)
        return lambda value, _scope: step_into(value, position)
    if not isinstance(path, str):
        return lambda _value, _scope: None
    steps = _steps(path)

    def follow(value: Value, scope: Scope) -> Value:
        if isinstance(value, dict) and path in value:
            return value[path]
        return _follow(value, steps, scope)

    return follow


def _follow(value: Value, steps: tuple[str, ...], scope: Scope) -> Value:
    if not steps:
        return None
    scope.budget.step(len(steps))
    for step in steps:
        value = step_into(value, step)
        if value is None:
            return None
    return value


@lru_cache(maxsize=512)
def _remembered_steps(path: str) -> tuple[str, ...]:
    return tuple(_STEP.findall(path))


_LONGEST_REMEMBERED_PATH: Final = 200


def _steps(path: str) -> tuple[str, ...]:
    """Split ``address.city``, ``2.name`` or ``items[2].name``."""
    return _remembered_steps(path) if len(path) <= _LONGEST_REMEMBERED_PATH else tuple(_STEP.findall(path))


def step_into(value: Value, key: str) -> Value:
    """Return a collection's member, or an array's element by its 1-based position."""
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and len(key) <= _LONGEST_POSITION and key.isascii() and key.isdigit():
        position = int(key)
        return value[position - 1] if 0 < position <= len(value) else None
    return None


def module_path(module_id: int, segments: tuple[Segment, ...]) -> Evaluator:
    """Return a closure that follows the segments in a module's bundle; a lone key, as most are, costs one call."""
    if len(segments) == 1 and isinstance(segments[0], str):
        return _field_of_module(module_id, segments[0])
    return compile_path(lambda scope: scope.bundle(module_id), segments)


def _field_of_module(module_id: int, key: str) -> Evaluator:
    def evaluate(scope: Scope) -> Value:
        value = scope.bundle(module_id)
        return value.get(key) if isinstance(value, dict) else None

    return evaluate


def compile_path(read_head: Evaluator, segments: tuple[Segment, ...]) -> Evaluator:
    """Return a closure that reads the head and follows the segments; short paths of keys are unrolled."""
    keys = tuple(segment for segment in segments if isinstance(segment, str))
    if len(keys) < len(segments):
        return lambda scope: descend(read_head(scope), segments)
    match keys:
        case ():
            return read_head
        case (key,):
            return _one_key(read_head, key)
        case (first, second):
            return _two_keys(read_head, first, second)
        case _:
            return _many_keys(read_head, keys)


def _one_key(read_head: Evaluator, key: str) -> Evaluator:
    def evaluate(scope: Scope) -> Value:
        value = read_head(scope)
        return value.get(key) if isinstance(value, dict) else None

    return evaluate


def _two_keys(read_head: Evaluator, first: str, second: str) -> Evaluator:
    def evaluate(scope: Scope) -> Value:
        value = read_head(scope)
        if not isinstance(value, dict):
            return None
        value = value.get(first)
        return value.get(second) if isinstance(value, dict) else None

    return evaluate


def _many_keys(read_head: Evaluator, keys: tuple[str, ...]) -> Evaluator:
    def evaluate(scope: Scope) -> Value:
        value = read_head(scope)
        for key in keys:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    return evaluate

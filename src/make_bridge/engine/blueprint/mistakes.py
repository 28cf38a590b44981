"""Mistakes people and language models make in hand-written blueprints, and what they meant.

Read by validation to say not only what is wrong but what to write instead.
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final

MODULES: Final = {
    "builtin:Aggregator": "builtin:BasicAggregator",
    "builtin:ArrayAggregator": "builtin:BasicAggregator",
    "builtin:BasicIterator": "builtin:BasicFeeder",
    "builtin:IfElse": "builtin:BasicIfElse",
    "builtin:Iterator": "builtin:BasicFeeder",
    "builtin:Merge": "builtin:BasicMerge",
    "builtin:Repeater": "builtin:BasicRepeater",
    "builtin:Router": "builtin:BasicRouter",
    "builtin:Sleep": "util:FunctionSleep",
    "gateway:CustomWebhook": "gateway:CustomWebHook",
    "gateway:WebhookResponse": "gateway:WebhookRespond",
    "http:ActionMakeRequest": "http:MakeRequest",
    "http:MakeARequest": "http:MakeRequest",
    "json:ParseJson": "json:ParseJSON",
    "set:Variable": "util:SetVariable2",
    "util:SetMultipleVariables": "util:SetVariables",
    "util:Sleep": "util:FunctionSleep",
    "webhook:CustomWebHook": "gateway:CustomWebHook",
}
SUPERFLUOUS: Final = {
    "builtin:BasicScheduler": "Remove it: when a scenario runs is a setting of the scenario, not a module.",
    "builtin:Noop": "Remove it: it does nothing.",
}
OPERATORS: Final = {
    "array:contains": "array:contain",
    "exists": "exist",
    "isempty": "notexist",
    "isnotempty": "exist",
    "notexists": "notexist",
    "number:gt": "number:greater",
    "number:lt": "number:less",
    "string:equal": "text:equal",
    "text:contains": "text:contain",
    "text:equals": "text:equal",
    "text:isempty": "notexist",
    "text:isnotempty": "exist",
    "text:matches": "text:pattern",
    "text:startswith": "text:startwith",
}
FUNCTIONS: Final = {
    "and": "Write a & b.",
    "concat": 'Write "a" + b, or put the parts side by side in the field.',
    "divide": "Write a / b.",
    "empty": 'Write a = "".',
    "equals": "Write a = b.",
    "escapeJSON": "Build the JSON with the module json:CreateJSON.",
    "exists": 'Write a != "".',
    "greaterOrEqual": "Write a >= b.",
    "multiply": "Write a * b.",
    "not": "Write a = false.",
    "or": "Write a | b.",
    "subtract": "Write a - b.",
    "toJSON": "Use the module json:TransformToJSON.",
}


def module_fix(name: str, known: Iterable[str]) -> str | None:
    """Say what to write instead of an unknown module."""
    if name in SUPERFLUOUS:
        return SUPERFLUOUS[name]
    meant = MODULES.get(name) or _meant(name, known)
    return f"Did you mean {meant}?" if meant else None


def operator_fix(name: str, known: Iterable[str]) -> str | None:
    """Say what to write instead of an unknown operator."""
    meant = OPERATORS.get(name.lower()) or _meant(name, known)
    return f"Did you mean {meant}?" if meant else None


def function_fix(name: str) -> str | None:
    """Say what to write instead of a function that does not exist."""
    return FUNCTIONS.get(name)


def _meant(name: str, known: Iterable[str]) -> str | None:
    names = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name.lower(), names, n=1, cutoff=0.8)
    return names[close[0]] if close else None


def comma_calls(text: str) -> Iterator[str]:
    """Return the functions of a template that are called with commas between their arguments."""
    for expression in _expressions(text):
        waiting: list[tuple[str, list[str]]] = []
        word = ""
        for sign in _outside_literals(expression):
            if sign == "(":
                waiting.append((word, []))
            elif sign == ")" and waiting:
                name, separators = waiting.pop()
                if name and "," in separators and ";" not in separators:
                    yield name
            elif sign in ",;" and waiting:
                waiting[-1][1].append(sign)
            word = word + sign if sign.isalnum() or sign == "_" else ""


def _expressions(text: str) -> Iterator[str]:
    rest = text
    while "{{" in rest:
        rest = rest.partition("{{")[2]
        inside, _, rest = rest.partition("}}")
        yield inside


def _outside_literals(expression: str) -> Iterator[str]:
    closing = ""
    for sign in expression:
        if closing:
            closing = "" if sign == closing else closing
        elif sign in "\"'`":
            closing = sign
            yield "\x00"  # a literal ends a word
        else:
            yield sign

"""Mistakes people and language models make in hand-written blueprints, and what they meant.

Read by validation to say not only what is wrong but what to write instead.
"""

import re
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
NOT_OFFERED: Final = {
    "code:ExecuteCode": "Programs of a scenario's own are not run here, for the safety of all tenants: use expressions "
    "and the modules of the Tools, or call a service of your own with http:MakeRequest.",
    "email:ActionCreateDraft": "Drafts need IMAP, which is not offered: send with email:ActionSendEmail.",
    "email:ActionSendMeEmail": "A scenario here has no owner with a mailbox: name the recipient in "
    "email:ActionSendEmail.",
    "email:TriggerNewEmail": "Watching a mailbox needs IMAP, which is not offered: let a mail server hand mail over to "
    "gateway:CustomMailHook.",
}
OPERATORS: Final = {
    "array:contains": "array:contain",
    "exists": "exist",
    "isempty": "notexist",
    "isnotempty": "exist",
    "equal": "text:equal",
    "equals": "text:equal",
    "contains": "text:contain",
    "empty": "notexist",
    "greater": "number:greater",
    "less": "number:less",
    "notempty": "exist",
    "notequal": "text:notequal",
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
    "parseJSON": "Use the module json:ParseJSON.",
    "JSONStringify": "Use the module json:TransformToJSON.",
    "toJSON": "Use the module json:TransformToJSON.",
}
SAME_FUNCTIONS: Final = {
    "coalesce": "ifempty",
    "default": "ifempty",
    "count": "length",
    "dateAdd": "addDays",
    "dateFormat": "formatDate",
    "filter": "map",
    "includes": "contains",
    "len": "length",
    "size": "length",
    "strip": "trim",
    "substr": "substring",
    "toLowerCase": "lower",
    "lowercase": "lower",
    "toNumber": "parseNumber",
    "toText": "toString",
    "toUpperCase": "upper",
    "unique": "distinct",
    "uppercase": "upper",
    "urlEncode": "encodeURL",
}
_FOREIGN: Final = (
    (re.compile("=="), "Write = to compare."),
    (re.compile("&&"), "Write & between conditions."),
    (re.compile(r"\|\|"), "Write | between conditions."),
    (re.compile(r"!(?!=)"), "Write a = false instead of !a."),
    (re.compile(r"\?"), "Write if(condition; then; else)."),
    (re.compile(r"\)\."), 'Write get(f(a); "key") to look into what a function gives.'),
    (re.compile(r"\[-"), "Positions count from 1; the last one is last(array)."),
    (re.compile(r"\[(?![0-9]*\])"), "Write get(array; position) where the position is calculated."),
)
_SHOWN_IDS: Final = 12
_CLOSE_ENOUGH: Final = 0.75  # "lenght" is "length", "formatDates" is "formatDate", "left" is nothing


def module_fix(name: str, known: Iterable[str]) -> str:
    """Say what to write instead of an unknown module."""
    if name in SUPERFLUOUS or name in NOT_OFFERED:
        return SUPERFLUOUS.get(name) or NOT_OFFERED[name]
    meant = MODULES.get(name) or nearest(name, known)
    if meant:
        return f"Did you mean {meant}?"
    app = name.partition(":")[0]
    siblings = [candidate for candidate in known if candidate.startswith(f"{app}:")]
    if siblings:
        return f"The app {app} has {', '.join(siblings[:_SHOWN_IDS])}{' …' if len(siblings) > _SHOWN_IDS else ''}."
    return f"Apps of vendors as {app} are not offered: call its API with http:MakeRequest, or take the module out."


def operator_fix(name: str, known: Iterable[str]) -> str:
    """Say what to write instead of an unknown operator."""
    meant = OPERATORS.get(name.lower()) or nearest(name, known)
    if meant:
        return f"Did you mean {meant}?"
    return "Use exist, notexist, or one of the families text:, number:, date:, time:, semver:, array: and boolean:."


def function_fix(name: str, known: Iterable[str]) -> str:
    """Say what to write instead of a function that does not exist."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    meant = SAME_FUNCTIONS.get(name) or nearest(name, known, cutoff=_CLOSE_ENOUGH)
    return f"Did you mean {meant}()?" if meant else "Use a function of the list; functions of a team's own are not run."


def before(ids: Iterable[int]) -> str | None:
    """Name the modules that come before a place, the last ones when they are many; None when nothing does."""
    known = [str(number) for number in ids]
    if not known:
        return None
    return ", ".join(["…", *known[-_SHOWN_IDS:]] if len(known) > _SHOWN_IDS else known)


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.8) -> str | None:
    """Return the known name that is spelt most like this one."""
    names = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name.lower(), names, n=1, cutoff=cutoff)
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


def syntax_fix(text: str) -> str:
    """Say what to write where a template cannot be read: mostly it is written as in another language."""
    for expression in _expressions(text):
        bare = "".join(sign for sign in _outside_literals(expression) if not sign.isspace())
        for pattern, fix in _FOREIGN:
            if pattern.search(bare):
                return fix
    return "Look at the quotes, the brackets and the closing }}."


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

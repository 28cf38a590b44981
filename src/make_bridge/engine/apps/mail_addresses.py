"""Mail addresses out of mapped values: what people write, in one strict form.

Used by `email` for messages that are sent. An address ends in commands to a mail server, so what is
not plainly one is refused with the place it stood at; nothing is guessed and nothing is cut off.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from make_bridge.engine.apps.module import ErrorType, ModuleError
from make_bridge.engine.values import Value, to_array, to_text

MAX_RECIPIENTS: Final = 100
_MAX_NAME: Final = 200
_MAX_ADDRESS: Final = 254
_SHOWN: Final = 60
_LOCAL: Final = re.compile(r"(?!\.)[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}(?<!\.)")
_DOMAIN: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """An address, with the name shown beside it."""

    address: str
    name: str = ""


def one_line(text: str, most: int) -> str:
    """Return text that fits into a header: in one line, without what ends one."""
    return " ".join(_CONTROL.sub(" ", text).split())[:most]


def read_mailboxes(value: Value, what: str) -> tuple[Mailbox, ...]:
    """Return the addresses of a field: a text with commas, a list of texts, or mail's own {address, name}."""
    found = tuple(_mailbox(piece, what) for item in to_array(value) for piece in _pieces(item))
    if len(found) > MAX_RECIPIENTS:
        message = f"'{what}' has {len(found)} addresses; at most {MAX_RECIPIENTS}."
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, message)
    return found


def read_mailbox(value: Value, what: str) -> Mailbox | None:
    """Return the one address of a field, or None when it is empty."""
    found = read_mailboxes(value, what)
    if len(found) > 1:
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"'{what}' takes one address.")
    return found[0] if found else None


def _pieces(item: Value) -> Iterator[tuple[str, str | None]]:
    """Yield what stands between commas; a collection is one piece with a name of its own."""
    if isinstance(item, dict):
        if item.get("address"):
            yield to_text(item["address"]).strip(), to_text(item.get("name"))
        return
    text, piece, quoted, in_angle = to_text(item), "", False, False
    for sign in text:
        if sign == '"' and not in_angle:
            quoted = not quoted
        in_angle = not quoted and (sign == "<" or (in_angle and sign != ">"))
        if sign in ",;" and not quoted and not in_angle:
            yield piece.strip(), None
            piece = ""
        else:
            piece += sign
    yield piece.strip(), None


def _mailbox(piece: tuple[str, str | None], what: str) -> Mailbox:
    text, given_name = piece
    if _CONTROL.search(text):
        raise _no_address(text, what)
    name, address = "", text
    if text.endswith(">") and "<" in text:
        name, _, rest = text.rpartition("<")
        address = rest[:-1].strip()
        name = name.strip()
    name = name if given_name is None else given_name
    return Mailbox(address=_address(address, what), name=one_line(_unquoted(name), _MAX_NAME))


def _unquoted(name: str) -> str:
    return name.replace('\\"', '"').strip('" ')


def _address(text: str, what: str) -> str:
    """Return the address with its domain in ASCII."""
    local, at, domain = text.rpartition("@")
    try:
        domain = domain if domain.isascii() else domain.encode("idna").decode()
    except UnicodeError:
        domain = ""
    right = at and _LOCAL.fullmatch(local) and ".." not in local and _DOMAIN.fullmatch(domain)
    if not right or len(local) + len(domain) >= _MAX_ADDRESS:
        raise _no_address(text, what)
    return f"{local}@{domain}"


def _no_address(text: str, what: str) -> ModuleError:
    message = f"'{what}' holds {one_line(text, _SHOWN)!r}, which is not a mail address."
    return ModuleError(ErrorType.BUNDLE_VALIDATION, message)

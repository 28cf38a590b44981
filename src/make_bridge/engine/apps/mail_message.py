"""A message out of mapped fields, as the bytes that go to a mail server.

Used by `email`. Every value that becomes part of a header is brought into one line first, so no data
can add a header or a part. Identifier, date and boundaries come from the step, not from chance: a
step that is tried twice makes the same message, and mail servers know it by its identifier.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from make_bridge.engine.apps.http_bodies import content_type_of, raw
from make_bridge.engine.apps.http_headers import read_headers
from make_bridge.engine.apps.mail_addresses import Mailbox, one_line, read_mailboxes
from make_bridge.engine.apps.module import Collection, ErrorType, ModuleError
from make_bridge.engine.values import Value, to_array, to_text

MAX_MESSAGE: Final = 25 * 1024 * 1024
MAX_ATTACHMENTS: Final = 100
_MAX_SUBJECT: Final = 1000
_MAX_FILE_NAME: Final = 255
_MAX_HEADERS: Final = 50
_MAX_HEADER_VALUE: Final = 4096
_MAX_REFERENCES: Final = 100
_POLICY: Final = SMTP.clone(cte_type="7bit")
_MESSAGE_ID: Final = re.compile(r"<?([^<>\s@]{1,200}@[^<>\s@]{1,200})>?", re.ASCII)
_CID: Final = re.compile(r"[\w.@+-]{1,200}", re.ASCII)
_PRIORITIES: Final = {"high": ("1", "high"), "low": ("5", "low")}
# What the module makes itself; a second one would be another message than the one that is shown.
_OURS: Final = frozenset(
    {
        "bcc", "cc", "date", "from", "in-reply-to", "message-id", "mime-version", "received", "references",
        "reply-to", "return-path", "sender", "subject", "to",
    }
)  # fmt: skip
_OUR_PREFIXES: Final = ("content-", "resent-", "arc-", "dkim-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file of a message; with a `cid` it is shown where the HTML names it."""

    file_name: str
    data: bytes
    cid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """Who writes to whom, and what makes this message itself."""

    author: Mailbox
    sender: Mailbox | None
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    key: str
    date: datetime

    @property
    def message_id(self) -> str:
        """The same for the same step, and telling nothing of it."""
        name = hashlib.sha256(f"mail {self.key}".encode()).hexdigest()[:32]
        return f"<{name}@{self.author.address.rpartition('@')[2]}>"


def write_message(letter: Letter, given: Collection) -> bytes:
    """Return the message with what the module's fields hold; raises BundleValidationError and size errors."""
    files = _attachments(given.get("attachments"))
    message = EmailMessage(policy=_POLICY)
    _address_headers(message, letter, given)
    texts = _content(message, given)
    html = message.get_body(("html",))
    for file in files:
        main, _, sub = content_type_of(file.file_name).partition("/")
        if file.cid and isinstance(html, EmailMessage):
            html.add_related(file.data, main, sub, cid=f"<{file.cid}>", filename=file.file_name, disposition="inline")
        else:
            message.add_attachment(file.data, main, sub, filename=file.file_name)
    _set_boundaries(message, letter, texts)
    written = message.as_bytes()
    if len(written) > MAX_MESSAGE:
        raise _too_large()
    return written


def _address_headers(message: EmailMessage, letter: Letter, given: Collection) -> None:
    message["From"] = _shown((letter.author,))
    if letter.sender is not None and letter.sender.address != letter.author.address:
        message["Sender"] = _shown((letter.sender,))
    for name, mailboxes in (
        ("To", letter.to),
        ("Cc", letter.cc),
        ("Reply-To", read_mailboxes(given.get("replyTo") or None, "replyTo")),
    ):
        if mailboxes:
            message[name] = _shown(mailboxes)
    message["Subject"] = one_line(to_text(given.get("subject")), _MAX_SUBJECT)
    message["Date"] = format_datetime(letter.date)
    message["Message-ID"] = letter.message_id
    for name, value in (*_thread_headers(given), *_own_headers(given)):
        message[name] = value


def _shown(mailboxes: tuple[Mailbox, ...]) -> list[Address]:
    return [Address(mailbox.name, addr_spec=mailbox.address) for mailbox in mailboxes]


def _thread_headers(given: Collection) -> Iterator[tuple[str, str]]:
    answered = _message_ids(given.get("inReplyTo"), "inReplyTo")
    if answered:
        yield "In-Reply-To", " ".join(answered)
    references = _message_ids(given.get("references"), "references")
    if references:
        yield "References", " ".join(references[-_MAX_REFERENCES:])
    rank = _PRIORITIES.get(to_text(given.get("priority")))
    if rank is not None:
        yield "X-Priority", rank[0]
        yield "Importance", rank[1]


def _message_ids(value: Value, what: str) -> list[str]:
    found: list[str] = []
    for text in (text for item in to_array(value) for text in to_text(item).split()):
        read = _MESSAGE_ID.fullmatch(text)
        if read is None:
            message = f"'{what}' holds {one_line(text, 60)!r}, which is not the identifier of a message."
            raise ModuleError(ErrorType.BUNDLE_VALIDATION, message)
        found.append(f"<{read.group(1)}>")
    return found


def _own_headers(given: Collection) -> Iterator[tuple[str, str]]:
    rows = given.get("headers")
    for name, value in read_headers(rows, "key", max_count=_MAX_HEADERS, max_value=_MAX_HEADER_VALUE):
        if name.lower() in _OURS or name.lower().startswith(_OUR_PREFIXES):
            message = f"The header {name} is written by the module itself: use its field."
            raise ModuleError(ErrorType.BUNDLE_VALIDATION, message)
        yield name, one_line(value, _MAX_HEADER_VALUE)


def _content(message: EmailMessage, given: Collection) -> str:
    """Write text, HTML, or the HTML with its text beside it; returns what was written."""
    text, html = _text(given.get("text") or given.get("content")), _text(given.get("html"))
    if len(text) + len(html) > MAX_MESSAGE:
        raise _too_large()
    if given.get("contentType") == "text" or not html:
        message.set_content(text)
    elif text:
        message.set_content(text)
        message.add_alternative(html, subtype="html")
    else:
        message.set_content(html, subtype="html")
    return text + html


def _text(value: Value) -> str:
    return to_text(value).encode("utf-8", "replace").decode()


def _attachments(rows: Value) -> tuple[Attachment, ...]:
    found = tuple(_attachment(row) for row in to_array(rows) if isinstance(row, dict))
    if len(found) > MAX_ATTACHMENTS:
        raise ModuleError(
            ErrorType.BUNDLE_VALIDATION, f"There are {len(found)} attachments; at most {MAX_ATTACHMENTS}."
        )
    if sum(len(file.data) for file in found) > MAX_MESSAGE:
        raise _too_large()
    return found


def _attachment(row: Collection) -> Attachment:
    """Read a row; its data may be a whole file of an earlier module."""
    data, name = row.get("data"), row.get("fileName") or row.get("name")
    if isinstance(data, dict):
        name = name or data.get("name")
        data = data.get("data")
    cid = to_text(row.get("cid")).strip().strip("<>")
    if cid and not _CID.fullmatch(cid):
        message = f"The Content-ID {one_line(cid, 60)!r} may have letters, digits and . _ - + @ only."
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, message)
    return Attachment(file_name=_file_name(to_text(name)), data=raw(data) or b"", cid=cid)


def _file_name(text: str) -> str:
    return one_line(text.replace("\\", "/").rpartition("/")[2], _MAX_FILE_NAME) or "file"


def _set_boundaries(message: EmailMessage, letter: Letter, texts: str) -> None:
    """Give each multipart its boundary; "=_" occurs in no encoded part, and in no text that goes out as it is."""
    boundary = "=_" + hashlib.sha256(f"boundary {letter.key}".encode()).hexdigest()[:32]
    while boundary in texts:
        boundary += "_"
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"{boundary}.{number}")


def _too_large() -> ModuleError:
    megabytes = MAX_MESSAGE // (1024 * 1024)
    return ModuleError(ErrorType.FILE_SIZE, f"The message is larger than {megabytes} MB.")

"""The app `email`: messages out, through a mail server that a connection names.

The message is made here (`mail_message`), the mailer port hands it over. Drafts, copies in a folder and
watching a mailbox need IMAP, which is not offered; a mailhook (`gateway`) takes mail in without it.
"""

import math
from typing import Final

from make_bridge.engine.apps.concealing import Concealed
from make_bridge.engine.apps.fields import Field, choices
from make_bridge.engine.apps.http_calls import component_number, opened
from make_bridge.engine.apps.mail_addresses import MAX_RECIPIENTS, Mailbox, read_mailbox, read_mailboxes
from make_bridge.engine.apps.mail_message import MAX_MESSAGE, Letter, write_message
from make_bridge.engine.apps.module import Collection, Effect, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.ports import Credential, Mail, MailFailure, MailFailureKind, MailSecurity, MailServer

_ERRORS: Final[dict[MailFailureKind, ErrorType]] = {
    "connect": ErrorType.CONNECTION,
    "timeout": ErrorType.TIMEOUT,
    "refused": ErrorType.CONFIGURATION,
    "login": ErrorType.ACCESS_TOKEN,
    "temporary": ErrorType.CONNECTION,
    "rejected": ErrorType.DATA,
}
_SECURITY: Final[dict[str, MailSecurity]] = {"tls": "tls", "starttls": "starttls", "none": "none"}
_DEFAULT_PORT: Final = 587


async def _send(call: ModuleCall) -> list[Collection]:
    given = call.input
    if call.parameters.get("saveAfterSent") is True:
        message = "A copy in a folder needs IMAP, which is not offered: switch 'Save message after sending' off."
        raise ModuleError(ErrorType.CONFIGURATION, message)
    to, cc, bcc = (read_mailboxes(given.get(name), name) for name in ("to", "cc", "bcc"))
    recipients = tuple(dict.fromkeys(mailbox.address for mailbox in (*to, *cc, *bcc)))
    if not recipients or len(recipients) > MAX_RECIPIENTS:
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"A message needs 1 to {MAX_RECIPIENTS} recipients.")
    number, credential = await _account(call)
    author = read_mailbox(given.get("from") or None, "from") or _own_address(credential)
    sender = read_mailbox(given.get("sender") or None, "sender")
    letter = Letter(author=author, sender=sender, to=to, cc=cc, key=call.key, date=call.host.now)
    mail = Mail(sender=(sender or author).address, recipients=recipients, message=write_message(letter, given))
    try:
        refused = await call.host.ports.mailer.send(mail, _server(number, credential))
    except MailFailure as failure:
        detail: Collection | None = None
        if failure.retry_after is not None:
            detail = {"retryAfter": math.ceil(failure.retry_after)}
        # A server may quote what it was told when somebody logged in.
        message = Concealed().more(credential.secret).text(failure.message)
        raise ModuleError(_ERRORS[failure.kind], message, detail) from failure
    call.transfer += len(mail.message)
    if refused:
        call.host.warn(call.module_id, f"The mail server did not take the message for {', '.join(refused)}.")
    return [{"messageId": letter.message_id, "refused": list(refused)}]


async def _account(call: ModuleCall) -> tuple[int, Credential]:
    number = component_number(call.parameters, "account", "__IMTCONN__")
    if number is None:
        raise ModuleError(ErrorType.CONFIGURATION, "The module has no connection to a mail server.")
    credential = await opened(call, number, "smtp:")
    if credential.kind != "mail":
        raise ModuleError(ErrorType.CONFIGURATION, "This connection does not lead to a mail server.")
    return number, credential


def _own_address(credential: Credential) -> Mailbox:
    found = read_mailbox(credential.settings.get("from") or credential.user or None, "the connection's sender")
    if found is None:
        raise ModuleError(ErrorType.CONFIGURATION, "Neither the module nor its connection names a sender.")
    return found


def _server(number: int, credential: Credential) -> MailServer:
    port = credential.settings.get("port", "")
    return MailServer(
        host=credential.settings.get("host", ""),
        port=int(port) if port.isascii() and port.isdigit() else _DEFAULT_PORT,
        security=_SECURITY.get(credential.settings.get("security", ""), "starttls"),
        user=credential.user,
        password=credential.secret,
        credential=str(number),
    )


_ADDRESSES: Final = (Field(name="value", type="email"),)

MODULES: Final = (
    ModuleSpec(
        name="email:ActionSendEmail",
        label="Send an email",
        kind=Kind.ACTION,
        versions=(7,),
        help="Sends a message through a mail server.",
        parameters=(
            Field(name="account", type="account:smtp", label="Connection", required=True),
            Field(
                name="saveAfterSent",
                type="boolean",
                label="Save message after sending",
                default=False,
                help="Not offered: it needs IMAP.",
            ),
        ),
        mapper=(
            Field(name="to", type="any", label="To", required=True, help="One address or a list of them."),
            Field(name="subject", type="text", label="Subject"),
            Field(
                name="contentType",
                type="select",
                label="Content type",
                default="html",
                options=choices(html="HTML", text="Plain text"),
            ),
            Field(name="html", type="text", label="Content", multiline=True),
            Field(name="text", type="text", label="Content as plain text", multiline=True),
            Field(
                name="attachments",
                type="array",
                label="Attachments",
                help=f"The message with them may have {MAX_MESSAGE // (1024 * 1024)} MB.",
                spec=(
                    Field(name="fileName", type="filename", label="File name"),
                    Field(name="data", type="any", label="Data"),
                    Field(
                        name="cid",
                        type="text",
                        label="Content-ID",
                        help='Shows an image inside the HTML, which names it as src="cid:…".',
                    ),
                ),
            ),
            Field(name="cc", type="any", label="Copy recipient", advanced=True),
            Field(name="bcc", type="any", label="Blind copy recipient", advanced=True),
            Field(name="from", type="text", label="From", help="The connection's sender when empty.", advanced=True),
            Field(name="sender", type="text", label="Sender", advanced=True),
            Field(name="replyTo", type="text", label="Reply-To", advanced=True),
            Field(name="inReplyTo", type="text", label="In-Reply-To", advanced=True),
            Field(
                name="references",
                type="array",
                label="References",
                spec=(Field(name="value", type="text"),),
                scalar_items=True,
                advanced=True,
            ),
            Field(
                name="priority",
                type="select",
                label="Priority",
                options=choices("", high="High", normal="Normal", low="Low"),
                advanced=True,
            ),
            Field(
                name="headers",
                type="array",
                label="Headers",
                spec=(Field(name="key", type="text", label="Key"), Field(name="value", type="text", label="Value")),
                advanced=True,
            ),
        ),
        output=(
            Field(name="messageId", type="text", label="Message ID"),
            Field(
                name="refused",
                type="array",
                label="Recipients the server did not take",
                spec=_ADDRESSES,
                scalar_items=True,
            ),
        ),
        perform=_send,
        effect=Effect.WRITE,
    ),
)

"""What the engine asks of the world: calls out, waiting, a journal, credentials.

Implemented by `platform` adapters and handed to `runner.run` in one `Ports` value; the modules in
`apps` see nothing else. Each port says what happens on failure, because a module turns that failure
into an error its scenario can handle.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeVar

import msgspec

from make_bridge.engine.cookies import CookieJar
from make_bridge.engine.stores import DataStores, DataStructures, NoStores
from make_bridge.engine.subscenarios import NoSubscenarios, Subscenarios
from make_bridge.engine.values import Value
from make_bridge.kernel.clock import Clock, SystemClock
from make_bridge.kernel.errors import BridgeError

FailureKind = Literal["connect", "timeout", "refused", "too_large"]
MailFailureKind = Literal["connect", "timeout", "refused", "login", "temporary", "rejected"]
MailSecurity = Literal["tls", "starttls", "none"]
CredentialKind = Literal["api_key", "basic", "bearer", "certificate", "mail"]
Placement = Literal["header", "query"]
Headers = tuple[tuple[str, str], ...]


class Cookies(Protocol):
    """Asked at every hop of a call, because a log-in sets its cookie on the way."""

    def header(self, url: str) -> str:
        """Return the value of the Cookie header for this address, or an empty text."""
        ...

    def take(self, url: str, lines: Sequence[str]) -> None:
        """Note what an answer from this address set."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """What a server asks of its callers under mutual TLS: certificate and private key as PEM text."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One call out; the client adds nothing but what the connection itself needs."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes | None = None
    timeout: float = 40.0
    follow_redirects: bool = True
    max_bytes: int = 16 * 1024 * 1024
    verify_tls: bool = True
    trusted_ca: str = ""
    """PEM text of certificates that are trusted beside the usual ones."""
    client_certificate: ClientCertificate | None = None
    cookies: Cookies | None = None
    credential: str = ""
    """The numbers of the connections and keys it goes out with: never what they hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What came back, decompressed; header names as received. `url` is where the last redirect led."""

    status: int
    headers: Headers = ()
    body: bytes = b""
    url: str = ""


class HttpFailure(BridgeError):
    """The call could not be completed."""

    code = "http_failure"

    def __init__(self, kind: FailureKind, message: str, *, retry_after: float | None = None) -> None:
        """`kind` decides which error the scenario sees; `refused` means our own guard said no.

        `retry_after` is set when the call was not made, because calls to its target are paused for so many seconds.
        """
        super().__init__(message)
        self.kind: FailureKind = kind
        self.retry_after = retry_after


class HttpClient(Protocol):
    """Sends one request. Every status is an answer; only a missing answer raises."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Return the response, or raise `HttpFailure` (also when the body passes `max_bytes`)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed over; `security` is how the connection is encrypted."""

    host: str
    port: int
    security: MailSecurity = "starttls"
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    credential: str = ""
    """The number of the connection it goes out with: never what that holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One message, ready for the wire, with its envelope."""

    sender: str
    recipients: tuple[str, ...]
    message: bytes = field(repr=False)
    timeout: float = 60.0


class MailFailure(BridgeError):
    """The message was not taken."""

    code = "mail_failure"

    def __init__(self, kind: MailFailureKind, message: str, *, retry_after: float | None = None) -> None:
        """`temporary` may go better later, `rejected` will not; `refused` means our own guard said no.

        `retry_after` is set when nothing was sent, because mail to its server is paused for so many seconds.
        """
        super().__init__(message)
        self.kind: MailFailureKind = kind
        self.retry_after = retry_after


class Mailer(Protocol):
    """Hands one message to a mail server."""

    async def send(self, mail: Mail, server: MailServer) -> tuple[str, ...]:
        """Return the recipients the server refused while it took the message for others.

        Raises `MailFailure` when it took it for nobody, or when that cannot be known.
        """
        ...


class Sleeper(Protocol):
    """Waits. A lost process is no failure: the journal lets the next one go on."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The opened secret of a connection or key, alive for one call; its repr shows none of it."""

    kind: CredentialKind
    secret: str = field(repr=False)
    user: str = field(default="", repr=False)
    name: str = ""
    placement: Placement = "header"
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What else the type holds: a mail server's host and port, a certificate."""
    renew: "Callable[[], Awaitable[Credential | None]] | None" = field(default=None, repr=False, compare=False)
    """Asked once when the target refuses this one as worth nothing (401): gives another, or None."""


class CredentialUnavailable(BridgeError):
    """The connection or key of this module cannot be used."""

    code = "credential_unavailable"

    def __init__(self, message: str | None = None, *, passes: bool = False) -> None:
        """``passes`` says that a later call may well find it."""
        super().__init__(message)
        self.passes = passes


class Components(Protocol):
    """Opens connections and keys."""

    async def credential(self, component_id: int, *, url: str) -> Credential:
        """Return the credential for a call to `url`.

        Raises `CredentialUnavailable` when it is missing, revoked, of another team, or bound to
        hosts that do not include this one.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A write is about to happen. Alone in the journal it means: perhaps it did."""

    key: str
    module_id: int
    module: str
    operation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a step with an effect ended: bundles or an error. `elapsed_us` moves the run's `now`."""

    key: str
    module_id: int
    operation: int
    outputs: tuple[Value, ...] = ()
    error_type: str | None = None
    error_message: str = ""
    error_detail: Value = None
    elapsed_us: int = 0
    transfer: int = 0
    state: Value = None
    """What the run has to be given back when the step is replayed: changes to data stores not yet committed."""
    remembered: Value = None
    """What the module kept for the scenario's next run; a replay keeps it again."""


class Journal(Protocol):
    """Remembers steps that must not happen twice.

    An exception from a journal is never a module's error: it stops the run where it stands, and a
    later run with the same journal goes on from there.
    """

    def recall(self, key: str) -> Record | Intent | None:
        """Return what an earlier attempt wrote under this key."""
        ...

    async def intend(self, intent: Intent) -> None:
        """Make the intent durable before the write is tried."""
        ...

    async def record(self, record: Record) -> None:
        """Make the outcome durable before anything that follows from it is done."""
        ...


class NullJournal:
    """Remembers nothing: for runs that start over when they break."""

    def recall(self, key: str) -> Record | Intent | None:  # noqa: ARG002  the port's shape
        """Return nothing."""
        return None

    async def intend(self, intent: Intent) -> None:
        """Forget it."""

    async def record(self, record: Record) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookResponse:
    """What the scenario answers to the caller of its webhook."""

    status: int
    headers: Headers = ()
    body: bytes = b""


class Responder(Protocol):
    """Is told the answer as soon as the scenario gives it, before the run ends."""

    def respond(self, response: WebhookResponse) -> None:
        """Take the answer; must not block. It is also in the run's result."""
        ...


class NoNetwork:
    """The port of a run that may not call out: dry runs and pure programs."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Refuse."""
        raise HttpFailure("refused", f"This run may not call out (to {request.url}).")


class NoMail:
    """The port of a run that may not send mail: dry runs and pure programs."""

    async def send(self, mail: Mail, server: MailServer) -> tuple[str, ...]:
        """Refuse."""
        raise MailFailure("refused", f"This run may not send mail (to {len(mail.recipients)} through {server.host}).")


class NoSleep:
    """Waits for nothing: dry runs."""

    async def sleep(self, seconds: float) -> None:
        """Return at once."""


class NoComponents:
    """Knows no credentials: dry runs."""

    async def credential(self, component_id: int, *, url: str) -> Credential:
        """Refuse."""
        raise CredentialUnavailable(f"Connection or key {component_id} is not available here (for {url}).")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a function may know of time and chance; ``chance`` is a number of the execution's own sequence."""

    now: datetime
    chance: float


Result = TypeVar("Result")


class Functions(Protocol):
    """The functions of the run's team, for programs that call some."""

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Do work in which ``call`` may be called, and return what it returns; nobody else waits meanwhile."""
        ...

    def call(self, name: str, arguments: Sequence[Value], moment: Moment) -> Value:
        """Return what the function gives; blocks, so it is called aside only.

        Raises `ExpressionError` when there is none of this name, when it fails, and when it uses more than it may;
        `ModuleError` when functions cannot be run now and a later try may do better.
        """
        ...


class Variables(Protocol):
    """The variables people have made for an organization and a team."""

    async def current(self) -> tuple[Mapping[str, Value], Mapping[str, Value]]:
        """Return the organization's and the team's, as they are now."""
        ...


class Working(Protocol):
    """A module at work, as who watches sees it."""

    def fail(self, why: str) -> None:
        """Hear that it failed, by the type of the error."""
        ...


class Watch(Protocol):
    """Is told of each module while it works: for who measures where the time of a run goes. Never raises."""

    def is_watching(self) -> bool:
        """Say whether anybody wants to know; asked once in a run."""
        ...

    def module(self, module_id: int, module: str) -> AbstractContextManager[Working]:
        """Watch one operation of a module."""
        ...


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run may touch. The defaults touch nothing."""

    http: HttpClient = msgspec.field(default_factory=NoNetwork)
    mailer: Mailer = msgspec.field(default_factory=NoMail)
    cookies: CookieJar = msgspec.field(default_factory=CookieJar)
    """What servers set, for the modules of one run that share it; a resumed run begins with none."""
    sleeper: Sleeper = msgspec.field(default_factory=NoSleep)
    components: Components = msgspec.field(default_factory=NoComponents)
    journal: Journal = msgspec.field(default_factory=NullJournal)
    clock: Clock = msgspec.field(default_factory=SystemClock)
    responder: Responder | None = None
    subscenarios: Subscenarios = msgspec.field(default_factory=NoSubscenarios)
    variables: Variables | None = None
    """Asked before every cycle of a scenario that wants fresh variables; the request has those of the start."""
    stores: DataStores = msgspec.field(default_factory=NoStores)
    functions: Functions | None = None
    structures: DataStructures = msgspec.field(default_factory=NoStores)
    watch: Watch | None = None

"""Handing mail to a server: SMTP through the same guard as every other way out.

One per process, used by the engine's mail port. The name is looked up here, every address of it is
judged, and the library gets a socket that is connected already: it never dials by itself. TLS is
checked against the name. A message is tried once; whether to try again is the scenario's decision.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver
from aiosmtplib import SMTP
from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.egress.guard import BlockedAddress, EgressGuard, EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure
from make_bridge.platform.egress.urls import Target, read_target
from make_bridge.platform.observability.tracing.spans import step

MailFailureKind = Literal["connect", "timeout", "refused", "login", "temporary", "rejected"]
MailSecurity = Literal["tls", "starttls", "none"]
_PERMANENT: Final = 500
_SHOWN: Final = 200
_LOGIN_WITHOUT_TLS: Final = "A user name and password only travel encrypted: choose TLS or STARTTLS for the connection."


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServerAddress:
    """Where mail is handed over, and as whom."""

    host: str
    port: int
    security: MailSecurity = "starttls"
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMail:
    """A message as bytes, with its envelope."""

    sender: str
    recipients: tuple[str, ...]
    message: bytes = field(repr=False)
    timeout: float = 60.0


class MailRefusal(BridgeError):
    """The message was not taken."""

    code: ClassVar[str] = "mail_failed"

    def __init__(self, kind: MailFailureKind, message: str) -> None:
        """``temporary`` may go better later, ``rejected`` will not."""
        super().__init__(message)
        self.kind: MailFailureKind = kind


class MailSender:
    """Hands messages over, one connection each."""

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
        name: str = "localhost",
    ) -> None:
        """``name`` is what this machine calls itself to mail servers."""
        self._policy = policy
        self._resolver = resolver
        self._tls = tls
        self._name = name

    async def send(self, mail: OutgoingMail, server: MailServerAddress) -> tuple[str, ...]:
        """Return the recipients that were refused beside others that were not; raises ``MailRefusal``."""
        with step("send mail", "client") as span:
            span.set("network.protocol.name", "smtp")
            span.set("server.address", server.host)
            span.set("server.port", server.port)
            try:
                return await self._send(mail, server)
            except MailRefusal as refusal:
                span.fail(refusal.kind)
                raise

    async def _send(self, mail: OutgoingMail, server: MailServerAddress) -> tuple[str, ...]:
        if server.user and server.security == "none":
            raise MailRefusal("refused", _LOGIN_WITHOUT_TLS)
        try:
            async with asyncio.timeout(mail.timeout):
                connected, host = await self._connect(server)
                return await self._hand_over(mail, server, connected, host)
        except EgressFailure as failure:
            raise MailRefusal("refused", failure.message) from None
        except SMTPException as error:
            raise _refusal(error, server.host) from None
        except (TimeoutError, ssl.SSLError, OSError) as error:
            raise _connection_refusal(error, server.host, mail.timeout) from None

    async def _hand_over(
        self, mail: OutgoingMail, server: MailServerAddress, connected: socket.socket, host: str
    ) -> tuple[str, ...]:
        client = SMTP(
            hostname=host,
            sock=connected,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=self._tls_context(),
            local_hostname=self._name,
            timeout=mail.timeout,
        )
        try:
            await client.connect()
        except BaseException:
            connected.close()
            raise
        try:
            if server.user:
                await client.login(server.user, server.password)
            refused, _ = await client.sendmail(mail.sender, list(mail.recipients), mail.message)
            await _leave(client)
        finally:
            client.close()
        return tuple(refused)

    def _tls_context(self) -> ssl.SSLContext:
        """Return the context; reading the system's authorities takes long enough to do it once."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    async def _connect(self, server: MailServerAddress) -> tuple[socket.socket, str]:
        """Return a socket to the first address that answers, of those that are all open."""
        host = f"[{server.host}]" if ":" in server.host else server.host
        target = read_target(f"http://{host}:{server.port}/")
        guard = EgressGuard(self._policy, self._resolver or ThreadedResolver())
        guard.check_mail(target)
        error: OSError = OSError("no address")
        for family, address in await self._addresses(guard, target):
            try:
                return await _dial(guard, family, address, target.port), target.host
            except BlockedAddress:
                raise
            except OSError as failed:
                error = failed
        raise error

    async def _addresses(self, guard: EgressGuard, target: Target) -> Sequence[tuple[int, str]]:
        if target.address is not None:
            family = socket.AF_INET if target.address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
            return [(family, str(target.address))]
        found = await guard.resolve(target.host, target.port, socket.AF_UNSPEC)
        return [(result["family"], result["host"]) for result in found]


async def _dial(guard: EgressGuard, family: int, address: str, port: int) -> socket.socket:
    dialling = guard.open_socket((family, socket.SOCK_STREAM, 0, "", (address, port)))
    dialling.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(dialling, (address, port))
    except BaseException:
        dialling.close()
        raise
    return dialling


async def _leave(client: SMTP) -> None:
    """Say goodbye; the message is the server's already, whatever it answers."""
    try:
        await client.quit()
    except (SMTPException, OSError):
        return


def _refusal(error: SMTPException, host: str) -> MailRefusal:
    match error:
        case SMTPTimeoutError():
            return MailRefusal("timeout", f"{host} did not answer in time.")
        case SMTPAuthenticationError():
            return MailRefusal("login", f"{host} did not accept the user name and password.")
        case SMTPRecipientsRefused():
            return _answered(error.recipients[0], host)
        case SMTPResponseException():
            return _answered(error, host)
        case SMTPConnectError() | SMTPServerDisconnected():
            return MailRefusal("connect", f"The connection to {host} failed.")
        case _:
            return MailRefusal("rejected", f"{host} does not offer what the connection asks for (encryption, log-in).")


def _answered(error: SMTPResponseException, host: str) -> MailRefusal:
    """Repeat what the server said, in one line and without what terminals act on."""
    said = "".join(sign if sign.isprintable() else " " for sign in str(error.message))[:_SHOWN].strip()
    kind: MailFailureKind = "rejected" if error.code >= _PERMANENT else "temporary"
    return MailRefusal(kind, f"{host} answered {error.code} {said}".rstrip(" .") + ".")


def _connection_refusal(error: Exception, host: str, timeout: float) -> MailRefusal:
    match error:
        case BlockedAddress():
            return MailRefusal("refused", f"The address behind {host} is not open to calls from here.")
        case TimeoutError():
            return MailRefusal("timeout", f"{host} did not take the message within {timeout:g} s.")
        case ssl.SSLError():
            return MailRefusal("connect", f"The certificate or encryption of {host} could not be accepted.")
        case socket.gaierror():
            return MailRefusal("connect", f"The name {host} could not be found.")
        case _:
            return MailRefusal("connect", f"{host} did not accept the connection.")

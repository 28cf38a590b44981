"""Certificates of this server: where they stand, and how they are read and followed while it serves.

``cli`` serves over TLS with them when no proxy stands in front. They are read again when their files change, so that a
renewal needs no restart. ``own_certificate`` makes one for trying things out.
"""

import asyncio
import hashlib
import ssl
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from make_bridge.kernel.errors import ConfigurationError

_log = structlog.get_logger(__name__)

_LOOKS_EVERY_SECONDS: Final = 60.0
_END: Final = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """Where a certificate (with those it was signed by) and its key stand, in PEM."""

    certificate: Path
    key: Path

    def fingerprint(self) -> bytes:
        """Return the SHA-256 of the server's own certificate, the first in the file."""
        first = self.certificate.read_text().partition(_END)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert("".join(first[:2]))).digest()


def own_files(folder: Path) -> CertificateFiles:
    """Return where the certificate of this machine stands in ``folder``."""
    return CertificateFiles(certificate=folder / "certificate.pem", key=folder / "key.pem")


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """Return what a listener needs for TLS 1.2 and 1.3; raises ConfigurationError with what to change."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load(context, files)
    return context


async def follow(context: ssl.SSLContext, files: CertificateFiles, *, every: float = _LOOKS_EVERY_SECONDS) -> None:
    """Read the files again when they change, for ever: connections made from then on see the new certificate."""
    known = _changed_at(files)
    while True:
        await asyncio.sleep(every)
        now = _changed_at(files)
        if now == known:
            continue
        try:
            _load(context, files)
        except ConfigurationError as error:
            _log.warning("certificate_unreadable", reason=error.message)
        else:
            known = now
            _log.info("certificate_renewed", file=str(files.certificate))


def _load(context: ssl.SSLContext, files: CertificateFiles) -> None:
    try:
        if stat.S_IMODE(files.key.stat().st_mode) & stat.S_IROTH:
            message = f"Everybody on this machine can read the key {files.key}: chmod 600 it."
            raise ConfigurationError(message)
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except FileNotFoundError as error:
        missing = files.certificate if files.key.exists() else files.key
        raise ConfigurationError(f"There is no file {missing}.") from error
    except ssl.SSLError as error:
        both, reason = f"{files.certificate} and {files.key}", error.reason or "unreadable"
        message = f"{both} are no certificate and its key in PEM: {reason}."
        raise ConfigurationError(message) from error
    except OSError as error:
        message = f"{files.certificate} or {files.key} cannot be read: {error.strerror}."
        raise ConfigurationError(message) from error


def _no_password() -> str:
    """Refuse to ask the terminal: a server has nobody in front of it."""
    raise ConfigurationError("The key of the certificate has a password: give one without, readable by this user only.")


def _changed_at(files: CertificateFiles) -> tuple[int, ...]:
    moments = []
    for path in (files.certificate, files.key):
        with suppress(OSError):
            moments.append(path.stat().st_mtime_ns)
    return tuple(moments)

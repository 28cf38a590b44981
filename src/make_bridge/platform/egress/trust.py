"""TLS contexts for calls that bring their own certificates: an authority to trust, a certificate to show.

Asked by ``client``. A context is made once per set of certificates and kept while it is used, because
the connection pool tells connections apart by their context. The standard library reads a certificate
with its key from files only: they are handed over through memory, so that no key touches a disk.
"""

import hashlib
import os
import ssl
from collections import OrderedDict
from typing import Final

from make_bridge.platform.egress.messages import EgressFailure, TlsTrust, refused

_KEPT: Final = 64
_MAX_PEM: Final = 256 * 1024


class TrustedContexts:
    """Contexts by what they trust and show."""

    def __init__(self, usual: ssl.SSLContext | None = None) -> None:
        """``usual`` are the authorities that are trusted anyway; None: those of the system."""
        self._usual = usual
        self._known: OrderedDict[bytes, ssl.SSLContext] = OrderedDict()

    def context(self, trust: TlsTrust, *, verify: bool) -> ssl.SSLContext:
        """Return the context, or raise ``EgressFailure`` when the certificates cannot be read."""
        key = _digest(trust, verify=verify)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._made(trust, verify=verify)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return known

    def _made(self, trust: TlsTrust, *, verify: bool) -> ssl.SSLContext:
        if len(trust.authorities) + len(trust.certificate) + len(trust.key) > _MAX_PEM:
            raise refused("The certificates of this call are larger than any real ones.", "invalid_request")
        context = ssl.create_default_context()
        if self._usual is not None:
            for authority in self._usual.get_ca_certs(binary_form=True):
                context.load_verify_locations(cadata=authority)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if trust.authorities:
            _trust(context, trust.authorities)
        if trust.certificate:
            _show(context, trust)
        return context


def _trust(context: ssl.SSLContext, authorities: str) -> None:
    """Trust these certificates; one that is no authority is trusted for itself."""
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError, UnicodeError):
        raise _unreadable("trusted certificate") from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # What a private authority made years ago lacks extensions that strict reading asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT


def _show(context: ssl.SSLContext, trust: TlsTrust) -> None:
    both = f"{trust.certificate.strip()}\n{trust.key.strip()}\n".encode("utf-8", "replace")
    memory = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(memory, both)
        context.load_cert_chain(f"/proc/self/fd/{memory}", password=_no_password)
    except (ssl.SSLError, ValueError, OSError):
        raise _unreadable("client certificate with its private key") from None
    finally:
        os.close(memory)


def _no_password() -> str:
    """An encrypted key would make OpenSSL ask at the terminal."""
    return ""


def _unreadable(what: str) -> EgressFailure:
    return refused(
        f"The {what} cannot be read: paste it as PEM text, from -----BEGIN to the last -----END-----.",
        "invalid_certificate",
    )


def _digest(trust: TlsTrust, *, verify: bool) -> bytes:
    parts = (trust.authorities, trust.certificate, trust.key, str(verify))
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).digest()

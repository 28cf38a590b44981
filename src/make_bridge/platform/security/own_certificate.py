"""A certificate that this server makes for its own machine, for trying things out.

Make's command line and its MCP server speak https only, and trust what ``NODE_EXTRA_CA_CERTS`` names. The certificate
signs itself, is good for a year and is made anew a month before its end.
"""

import os
from contextlib import suppress
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.security.certificates import CertificateFiles

OWN_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_VALID: Final = timedelta(days=365)
_RENEWED_BEFORE: Final = timedelta(days=30)
# Clocks of one's own machines differ by minutes.
_BACKDATED: Final = timedelta(hours=1)


def ensure_own(files: CertificateFiles, now: datetime) -> None:
    """Make the certificate of this machine where there is none that stays good."""
    if _stays_good(files, now):
        return
    try:
        files.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(files, now)
    except OSError as error:
        message = f"A certificate cannot be written into {files.key.parent}: {error.strerror}."
        raise ConfigurationError(message) from error


def _stays_good(files: CertificateFiles, now: datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        is_there = files.key.exists()
    except (OSError, ValueError):
        return False
    return is_there and found.not_valid_after_utc - now > _RENEWED_BEFORE


def _make(files: CertificateFiles, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Make Bridge on this machine")])
    names = [_general_name(text) for text in OWN_NAMES]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, SHA256())
    )
    _write(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _write(files.certificate, certificate.public_bytes(Encoding.PEM), 0o644)


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a whole file in place: no other process ever reads half of it."""
    draft = path.with_suffix(f".{os.getpid()}")
    with suppress(FileNotFoundError):
        draft.unlink()
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    draft.replace(path)

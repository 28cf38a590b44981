"""Certificates: the one of this machine is made once and renewed in time, given ones are read and followed."""

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.security.certificates import CertificateFiles, follow, own_files, server_context
from make_bridge.platform.security.own_certificate import OWN_NAMES, ensure_own
from support.waiting import until_async

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def files(tmp_path):
    made = own_files(tmp_path / "tls")
    ensure_own(made, SystemClock().now())
    return made


def shown_by(context):
    """Return the certificate that a listener with this context shows, and the version agreed on.

    Both ends shake hands in this thread: a context that is loaded anew in another one shows a certificate without its
    key for a moment. A server shakes hands where it follows its files, so nobody sees that of it.
    """
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = trusting.wrap_bio(down, up), context.wrap_bio(up, down, server_side=True)
    for end in (client, server, client, server):
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return client.getpeercert(binary_form=True), client.version()


def test_the_certificate_of_this_machine_is_good_for_its_names_and_its_key_is_private(files):
    made = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == set(OWN_NAMES)
    assert files.key.stat().st_mode & 0o777 == 0o600
    shown, version = shown_by(server_context(files))
    assert shown == ssl.PEM_cert_to_DER_cert(files.certificate.read_text())
    assert version == "TLSv1.3"


@pytest.mark.parametrize(("days", "renewed"), [(0, False), (334, False), (336, True), (400, True)])
def test_it_is_kept_until_a_month_before_its_end(tmp_path, days, renewed):
    files = own_files(tmp_path / "tls")
    ensure_own(files, NOW)
    before = files.certificate.read_bytes()
    ensure_own(files, NOW + timedelta(days=days))
    assert (files.certificate.read_bytes() != before) is renewed


def test_a_certificate_without_its_key_is_made_anew(tmp_path):
    files = own_files(tmp_path)
    ensure_own(files, NOW)
    files.key.unlink()
    ensure_own(files, NOW)
    server_context(files)


def test_what_cannot_be_used_is_said(files, tmp_path):
    absent = CertificateFiles(certificate=tmp_path / "absent.pem", key=files.key)
    with pytest.raises(ConfigurationError, match=r"There is no file .*absent\.pem"):
        server_context(absent)
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    with pytest.raises(ConfigurationError, match="no certificate and its key in PEM"):
        server_context(CertificateFiles(certificate=text, key=files.key))
    files.key.chmod(0o644)
    with pytest.raises(ConfigurationError, match="Everybody on this machine can read the key"):
        server_context(files)


async def test_a_renewed_certificate_is_shown_without_a_restart(files):
    context = server_context(files)
    before, _ = shown_by(context)
    following = asyncio.create_task(follow(context, files, every=0.001))
    await asyncio.sleep(0)
    files.certificate.unlink()
    ensure_own(files, SystemClock().now())

    async def shows_another():
        return shown_by(context)[0] != before

    await until_async(shows_another, "it is shown", within=10)
    following.cancel()

"""Sealing: what a credential of 1 KiB costs beyond the cipher itself, sealed and opened.

Goal: at most 50 µs for both together. The other side is AES-256-GCM of the same library over the same bytes and
associated data, with a fresh nonce; what is ours is the text, the strict reading of it, and the place that is bound in.
"""

import secrets
import timeit

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.report import Report
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security.sealing import KEY_BYTES, KeyRing, Place, SealingKey

_ROUNDS = 2_000
_REPEATS = 7
_NONCE_BYTES = 12
_CREDENTIAL = secrets.token_bytes(1024)


def run(report: Report) -> None:
    """Measure and report."""
    ring = KeyRing(SealingKey.generate("d2"), older=(SealingKey.generate("d1"),))
    cipher = AESGCM(secrets.token_bytes(KEY_BYTES))
    place = Place(organization_id=OrganizationId(1024), kind="key", object_id=2048, field="values")
    bound = place.associated_data("d2")

    def ours() -> bytes:
        here = Place(organization_id=OrganizationId(1024), kind="key", object_id=2048, field="values")
        return ring.open(here, ring.seal(here, _CREDENTIAL))

    def bare() -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return cipher.decrypt(nonce, cipher.encrypt(nonce, _CREDENTIAL, bound), bound)

    assert ours() == bare() == _CREDENTIAL
    mine, other = _microseconds(ours), _microseconds(bare)
    report.line("1 KiB sealed and opened", f"{mine:.1f} µs, the cipher alone {other:.1f} µs")
    report.goal("µs beyond the cipher", mine - other, at_most=50.0)


def _microseconds(work: object) -> float:
    assert callable(work)
    return min(timeit.repeat(work, number=_ROUNDS, repeat=_REPEATS)) / _ROUNDS * 1e6

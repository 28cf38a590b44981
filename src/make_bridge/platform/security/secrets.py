"""Making and comparing secrets: keys of organizations, API tokens, and the tokens inside addresses.

Used by the handlers that create them and by the edge that recognises them. A secret that is only
ever compared is stored as its digest; SHA-256 without salt is right for these, because each holds at
least 122 random bits and none was chosen by a person.

An **opaque token** (hook, flow, OAuth state) arrives without saying whose it is, so it begins with
its organization: eleven characters of id, then 130 random bits in 26, all of one alphabet that
survives addresses, e-mail, case folding and being read aloud.
"""

import hashlib
import hmac
import re
import secrets
import uuid
from typing import Final

from make_bridge.kernel.ids import MAX_ID, OrganizationId

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_BITS: Final = 5
_ID_LENGTH: Final = 11
_RANDOM_LENGTH: Final = 26
_OPAQUE: Final = re.compile(rf"[{_ALPHABET}]{{{_ID_LENGTH + _RANDOM_LENGTH}}}")
_API_TOKEN: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_KEY_ID_BYTES: Final = 10
# Letters and digits only, so that a secret can be selected with a double click and passed on a command line.
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SECRET_LENGTH: Final = 43
_GROUPS, _GROUP = 4, 5


def new_key_id() -> str:
    """Return the public name of a key: the ``kid`` of a portal token."""
    return secrets.token_hex(_KEY_ID_BYTES)


def new_secret() -> str:
    """Return 256 random bits as text: a portal key, or the secret of a flow."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH))


def new_password() -> str:
    """Return a first password: a hundred random bits in four groups that can be read out and typed."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def new_api_token() -> str:
    """Return an API token: a random UUID, the form Make's clients know."""
    return str(uuid.uuid4())


def is_api_token(text: str) -> bool:
    """Say whether a text has the form of an API token; what has not needs no look-up."""
    return _API_TOKEN.fullmatch(text) is not None


def digest_of(secret: str) -> bytes:
    """Return what is stored of a secret that is only compared; any text may be presented as one."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def is_secret_of(digest: bytes, presented: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(digest_of(presented), digest)


def new_opaque_token(organization_id: OrganizationId) -> str:
    """Return a token for an address, which says by itself whose it is."""
    random = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return encode_organization(organization_id) + random


def opaque_token_organization(token: str) -> OrganizationId | None:
    """Return whose token this claims to be, or nothing when it has not the form of one."""
    if not _OPAQUE.fullmatch(token):
        return None
    number = 0
    for character in token[:_ID_LENGTH]:
        number = number << _BITS | _VALUES[character]
    return OrganizationId(number) if 0 < number <= MAX_ID else None


def read_organization(prefix: str) -> OrganizationId | None:
    """Return whose token begins like this, or nothing for what no such token begins with."""
    return opaque_token_organization(prefix + _ALPHABET[0] * _RANDOM_LENGTH)


def opaque_token_digest(token: str) -> bytes:
    """Return what an opaque token is found by; the store keeps no token in the clear."""
    return digest_of(token)


def encode_organization(organization_id: OrganizationId) -> str:
    """Return the beginning of an organization's opaque tokens; always of one length."""
    if not 0 < organization_id <= MAX_ID:
        raise ValueError("An organization's id is between 1 and 2^53.")
    digits = (organization_id >> _BITS * place & (1 << _BITS) - 1 for place in reversed(range(_ID_LENGTH)))
    return "".join(_ALPHABET[digit] for digit in digits)

"""What is sent to a provider: the address a browser is led to, and the forms of the calls from here. Pure.

PKCE (RFC 7636) is always S256. How a client shows who it is, is the provider's choice: in a header (the id and the
secret are form-encoded first, RFC 6749 §2.3.1), in the form, or not at all.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus, urlencode

from make_bridge.domain.oauth.messages import ApplicationFacts
from make_bridge.platform.egress.messages import EgressRequest

_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An application with its opened secret, alive for one call."""

    facts: ApplicationFacts
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """How long a call may take, and how much it may answer."""

    seconds: float
    answer_bytes: int


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def authorize_address(
    facts: ApplicationFacts, *, redirect_uri: str, state: str, verifier: str, more_scopes: Sequence[str] = ()
) -> str:
    """Return where a browser is led to."""
    query = {
        "response_type": "code",
        "client_id": facts.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    if scopes := dict.fromkeys((*facts.scopes, *more_scopes)):
        query["scope"] = " ".join(scopes)
    joint = "&" if "?" in facts.authorize_url else "?"
    return f"{facts.authorize_url}{joint}{urlencode(query)}"


def code_form(code: str, verifier: str, redirect_uri: str) -> dict[str, str]:
    """Return the form that exchanges a code."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }


def renewal_form(refresh_token: str) -> dict[str, str]:
    """Return the form that asks for new tokens."""
    return {"grant_type": "refresh_token", "refresh_token": refresh_token}


def own_form(facts: ApplicationFacts) -> dict[str, str]:
    """Return the form by which an application asks for itself."""
    form = {"grant_type": "client_credentials"}
    return form | {"scope": " ".join(facts.scopes)} if facts.scopes else form


def revocation_form(token: str, hint: str) -> dict[str, str]:
    """Return the form that gives a token back (RFC 7009)."""
    return {"token": token, "token_type_hint": hint}


def form_call(client: Client, url: str, form: Mapping[str, str], limits: CallLimits) -> EgressRequest:
    """Return a call of the application; a redirect is never followed, it would carry the secret elsewhere."""
    headers = [("Content-Type", _FORM), ("Accept", "application/json")]
    facts = client.facts
    fields = dict(form)
    match facts.authentication:
        case "basic":
            pair = f"{quote_plus(facts.client_id)}:{quote_plus(client.secret)}"
            headers.append(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
        case "post":
            fields |= {"client_id": facts.client_id, "client_secret": client.secret}
        case "none":
            fields["client_id"] = facts.client_id
    return EgressRequest(
        url=url,
        method="POST",
        headers=headers,
        body=urlencode(fields).encode(),
        timeout=limits.seconds,
        follow_redirects=False,
        max_response_bytes=limits.answer_bytes,
    )


def userinfo_call(url: str, access_token: str, limits: CallLimits) -> EgressRequest:
    """Return the question whose token this is."""
    return EgressRequest(
        url=url,
        headers=[("Authorization", f"Bearer {access_token}"), ("Accept", "application/json")],
        timeout=limits.seconds,
        follow_redirects=False,
        max_response_bytes=limits.answer_bytes,
    )

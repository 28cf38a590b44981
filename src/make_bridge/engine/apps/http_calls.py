"""What the modules of the app `http` do: read fields, send, show the answer the way their family does.

Declared in `http`. No socket is opened here: guard, pool and time limit are the port's.
"""

from dataclasses import replace
from typing import Final

from make_bridge.engine.apps.http_pages import pages_of
from make_bridge.engine.apps.http_request import Outline, authorized, finish, outline_v3, outline_v4
from make_bridge.engine.apps.http_response import (
    cookies,
    data_of,
    failure_error,
    file_name,
    header_collection,
    header_list,
    status_error,
)
from make_bridge.engine.apps.module import Collection, ErrorType, ModuleCall, ModuleError
from make_bridge.engine.ports import Credential, CredentialUnavailable, HttpFailure, HttpResponse
from make_bridge.engine.values import Value, to_array

AUTHENTICATION_PARAMETERS: Final = {
    "apiKey": "apiKeyKeychain",
    "basicAuth": "basicAuthKeychain",
    "oAuth": "oAuthAccount",
}
TLS_PARAMETERS: Final = ("tlsKeychain", "mTlsKeychain")
_REFUSED: Final = 401
_V3_PARAMETERS: Final = ("auth", "key", "account", "certificate")
_CREDENTIAL_PARAMETERS: Final = (*_V3_PARAMETERS, *AUTHENTICATION_PARAMETERS.values())


async def send_data(call: ModuleCall) -> list[Collection]:
    """http:ActionSendData and the variants with credentials."""
    outline = await _with_components(call, outline_v3(call), _V3_PARAMETERS)
    response, _ = await _exchange(call, outline)
    _raise_for_status(call, response, wanted=call.parameters.get("handleErrors") is True)
    return [
        {
            "statusCode": response.status,
            "headers": header_list(response),
            "cookieHeaders": cookies(response.headers),
            "data": data_of(response, parse=call.input.get("parseResponse") is True),
            "fileSize": len(response.body),
        }
    ]


async def get_file(call: ModuleCall) -> list[Collection]:
    """http:ActionGetFile."""
    outline = outline_v3(call)
    response, _ = await _exchange(call, outline)
    _raise_for_status(call, response, wanted=call.parameters.get("handleErrors") is not False)
    return [
        {
            "fileName": file_name(response.url or outline.url, response.headers),
            "data": response.body,
            "fileSize": len(response.body),
            "statusCode": response.status,
            "headers": header_list(response),
            "cookieHeaders": cookies(response.headers),
        }
    ]


async def resolve_url(call: ModuleCall) -> list[Collection]:
    """http:ActionResolveTargetURL: where an address leads in the end, whatever is there."""
    outline = outline_v3(call)
    response, _ = await _exchange(call, outline)
    return [{"url": response.url or outline.url, "statusCode": response.status}]


def spread_headers(call: ModuleCall) -> list[Collection]:
    """http:ActionRetrieveHeaders: a bundle for each header of an earlier module's answer."""
    given = call.input.get("headers")
    if isinstance(given, dict):
        return [{"name": name, "value": value} for name, value in given.items()]
    return [{"name": row.get("name"), "value": row.get("value")} for row in to_array(given) if isinstance(row, dict)]


async def make_request(call: ModuleCall) -> list[Collection]:
    """http:MakeRequest."""
    kind = call.parameters.get("authenticationType")
    wanted = () if kind in (None, "", "noAuth") else (AUTHENTICATION_PARAMETERS.get(str(kind), ""),)
    if wanted and component_number(call.parameters, *wanted) is None:
        raise ModuleError(ErrorType.CONFIGURATION, f"The module uses the authentication {kind!r} without credentials.")
    outline = await _with_components(call, outline_v4(call), wanted)
    outline = await _with_certificate(call, outline)
    if call.input.get("paginationType"):

        async def fetch(page: Outline, number: int, received: int) -> tuple[Collection, HttpResponse]:
            response, as_it_came = await _exchange(call, page, number=number, received=received)
            return _shown_v4(call, response), as_it_came

        return await pages_of(call, outline, fetch)
    response, _ = await _exchange(call, outline)
    return [_shown_v4(call, response)]


def _shown_v4(call: ModuleCall, response: HttpResponse) -> Collection:
    _raise_for_status(call, response, wanted=call.input.get("stopOnHttpError") is not False)
    return {
        "data": data_of(response, parse=call.input.get("parseResponse") is True),
        "statusCode": response.status,
        "headers": header_collection(response),
    }


async def _with_certificate(call: ModuleCall, outline: Outline) -> Outline:
    """Add the certificates of `tlsType`: one to show under mutual TLS, and those to trust."""
    kind = call.parameters.get("tlsType")
    if kind in (None, ""):
        return outline
    if component_number(call.parameters, *TLS_PARAMETERS) is None:
        raise ModuleError(ErrorType.CONFIGURATION, f"The module uses {kind!r} without a key that holds certificates.")
    return await _with_components(call, outline, TLS_PARAMETERS)


async def _with_components(call: ModuleCall, outline: Outline, names: tuple[str, ...]) -> Outline:
    component = component_number(call.parameters, *names)
    if component is None:
        return outline
    sent_with = replace(outline, components=(*outline.components, component))
    return authorized(sent_with, await opened(call, component, outline.url))


async def opened(call: ModuleCall, component: int, url: str) -> Credential:
    """Return what a connection or key holds, or the error of one that cannot be used."""
    try:
        return await call.host.ports.components.credential(component, url=url)
    except CredentialUnavailable as error:
        raise _unavailable(error) from error


def _unavailable(error: CredentialUnavailable) -> ModuleError:
    return ModuleError(ErrorType.CONNECTION if error.passes else ErrorType.ACCESS_TOKEN, error.message)


async def _exchange(
    call: ModuleCall, outline: Outline, *, number: int = 1, received: int = 0
) -> tuple[HttpResponse, HttpResponse]:
    """Send it; refused as worth nothing, send it once more with a credential that was renewed: nothing was done yet.

    The answer is given as it is shown, without the credentials, and as it came: where the next page is may stand beside
    one, and nothing else is read from that.
    """
    response = await _send(call, outline, number=number, received=received)
    if response.status == _REFUSED and outline.renew is not None:
        try:
            another = await outline.renew()
        except CredentialUnavailable as error:
            raise _unavailable(error) from error
        if another is not None:
            outline = authorized(outline, another)
            response = await _send(call, outline, number=number, received=received)
    return outline.concealed.response(response), response


async def _send(call: ModuleCall, outline: Outline, *, number: int, received: int) -> HttpResponse:
    request = finish(outline, call, page=number, received=received)
    try:
        response = await call.host.ports.http.send(request)
    except HttpFailure as failure:
        raise failure_error(failure) from failure
    call.transfer += len(request.body or b"") + len(response.body)
    return response


def component_number(parameters: Collection, *names: str) -> int | None:
    """Return the first of these parameters that holds a component's number."""
    found = (parameters.get(name) for name in names)
    return next((number for number in map(_number, found) if number is not None), None)


def _number(value: Value) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _raise_for_status(call: ModuleCall, response: HttpResponse, *, wanted: bool) -> None:
    credentialed = component_number(call.parameters, *_CREDENTIAL_PARAMETERS) is not None
    now = call.host.ports.clock.now()
    error = status_error(response, with_credential=credentialed, now=now) if wanted else None
    if error is not None:
        raise error

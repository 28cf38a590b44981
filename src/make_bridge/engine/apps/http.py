"""The app `http`: calls to any address.

Each module reads its fields (`http_request`), asks the port to send, and shows the answer the way its
family does (`http_response`). No socket is opened here: guard, pool and time limit are the port's.
"""

from typing import Final

from make_bridge.engine.apps.fields import Bounds, Field, choices
from make_bridge.engine.apps.http_request import (
    DEFAULT_TIMEOUT,
    MAX_TIMEOUT,
    METHODS,
    Outline,
    effect_of,
    finish,
    outline_v3,
    outline_v4,
)
from make_bridge.engine.apps.http_response import (
    cookies,
    data_of,
    failure_error,
    file_name,
    header_collection,
    header_list,
    status_error,
)
from make_bridge.engine.apps.module import Collection, Effect, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.ports import Credential, CredentialUnavailable, HttpFailure, HttpResponse
from make_bridge.engine.values import Value

_AUTHENTICATION_PARAMETERS: Final = {
    "apiKey": "apiKeyKeychain",
    "basicAuth": "basicAuthKeychain",
    "oAuth": "oAuthAccount",
}


async def _send_data(call: ModuleCall) -> list[Collection]:
    """http:ActionSendData and the variants with credentials."""
    response = await _exchange(call, outline_v3(call), _component(call, "auth", "key", "account"))
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


async def _get_file(call: ModuleCall) -> list[Collection]:
    """http:ActionGetFile."""
    outline = outline_v3(call)
    response = await _exchange(call, outline, None)
    _raise_for_status(call, response, wanted=call.parameters.get("handleErrors") is not False)
    return [
        {
            "fileName": file_name(outline.url, response.headers),
            "data": response.body,
            "fileSize": len(response.body),
            "statusCode": response.status,
            "headers": header_list(response),
            "cookieHeaders": cookies(response.headers),
        }
    ]


async def _make_request(call: ModuleCall) -> list[Collection]:
    """http:MakeRequest."""
    kind = call.parameters.get("authenticationType")
    component = _component(call, _AUTHENTICATION_PARAMETERS.get(str(kind), ""))
    if component is None and kind not in (None, "", "noAuth"):
        raise ModuleError(ErrorType.CONFIGURATION, f"The module uses the authentication {kind!r} without credentials.")
    response = await _exchange(call, outline_v4(call), component)
    _raise_for_status(call, response, wanted=call.input.get("stopOnHttpError") is not False)
    return [
        {
            "data": data_of(response, parse=call.input.get("parseResponse") is True),
            "statusCode": response.status,
            "headers": header_collection(response),
        }
    ]


async def _exchange(call: ModuleCall, outline: Outline, component: int | None) -> HttpResponse:
    credential = None if component is None else await _credential(call, component, outline.url)
    request = finish(outline, credential, call)
    try:
        response = await call.host.ports.http.send(request)
    except HttpFailure as failure:
        raise failure_error(failure) from failure
    call.transfer += len(request.body or b"") + len(response.body)
    return response


async def _credential(call: ModuleCall, component: int, url: str) -> Credential:
    try:
        return await call.host.ports.components.credential(component, url=url)
    except CredentialUnavailable as error:
        raise ModuleError(ErrorType.ACCESS_TOKEN, error.message) from error


def _component(call: ModuleCall, *names: str) -> int | None:
    """Return the first of these parameters that holds a component's number."""
    found = (call.parameters.get(name) for name in names)
    return next((number for number in map(_number, found) if number is not None), None)


def _number(value: Value) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _raise_for_status(call: ModuleCall, response: HttpResponse, *, wanted: bool) -> None:
    credentialed = any(_number(call.parameters.get(name)) is not None for name in _CREDENTIAL_PARAMETERS)
    error = status_error(response, with_credential=credentialed) if wanted else None
    if error is not None:
        raise error


_CREDENTIAL_PARAMETERS: Final = ("auth", "key", "account", *_AUTHENTICATION_PARAMETERS.values())

_PAIR: Final = (
    Field(name="name", type="text", label="Name"),
    Field(name="value", type="text", label="Value"),
)
_URL: Final = Field(name="url", type="url", label="URL", required=True)
_METHOD: Final = Field(
    name="method", type="select", label="Method", required=True, default="get", options=choices(*METHODS)
)
_HEADERS: Final = Field(name="headers", type="array", label="Headers", spec=_PAIR)
_PARSE: Final = Field(name="parseResponse", type="boolean", label="Parse response", default=False)
_TIMEOUT: Final = Field(
    name="timeout",
    type="uinteger",
    label="Timeout (seconds)",
    help=f"{DEFAULT_TIMEOUT} when empty.",
    advanced=True,
    validate=Bounds(min=1, max=MAX_TIMEOUT),
)
_SERIALIZE: Final = Field(name="serializeUrl", type="boolean", label="Serialize URL", default=False, advanced=True)
_HANDLE_ERRORS: Final = Field(
    name="handleErrors",
    type="boolean",
    label="Evaluate all states as errors (except for 2xx and 3xx)",
    default=False,
)
_REDIRECT: Final = Field(name="followRedirect", type="boolean", label="Follow redirect", default=True, advanced=True)
_SEND_DATA: Final = (
    _URL,
    _SERIALIZE,
    _METHOD,
    _HEADERS,
    Field(name="qs", type="array", label="Query string", spec=_PAIR),
    Field(
        name="bodyType",
        type="select",
        label="Body type",
        options=choices(
            "",
            raw="Raw",
            x_www_form_urlencoded="application/x-www-form-urlencoded",
            multipart_form_data="multipart/form-data",
        ),
    ),
    Field(name="contentType", type="text", label="Content type"),
    Field(name="data", type="any", label="Request content", multiline=True),
    Field(
        name="formFields",
        type="array",
        label="Fields",
        spec=(
            Field(name="key", type="text", label="Key"),
            Field(name="value", type="any", label="Value"),
            Field(name="fieldType", type="select", label="Field type", options=choices("text", "file")),
            Field(name="fileName", type="text", label="File name"),
            Field(name="data", type="any", label="Data"),
        ),
    ),
    _PARSE,
    _TIMEOUT,
    Field(
        name="rejectUnauthorized",
        type="boolean",
        label="Reject connections that are using unverified (self-signed) certificates",
        default=True,
        advanced=True,
    ),
    _REDIRECT,
    Field(name="followAllRedirects", type="boolean", label="Follow all redirects", default=False, advanced=True),
)
_LOGIN: Final = (
    Field(name="authUser", type="text", label="User name", advanced=True),
    Field(name="authPass", type="password", label="Password", advanced=True),
)
_RESPONSE: Final = (
    Field(name="statusCode", type="number", label="Status code"),
    Field(name="headers", type="array", label="Headers", spec=_PAIR),
    Field(name="cookieHeaders", type="array", label="Cookie headers"),
    Field(name="data", type="any", label="Data"),
    Field(name="fileSize", type="number", label="File size"),
)


def _sender(name: str, label: str, credential: Field | None) -> ModuleSpec:
    return ModuleSpec(
        name=name,
        label=label,
        kind=Kind.ACTION,
        versions=(3,),
        help="Calls an address and gives its answer.",
        parameters=(_HANDLE_ERRORS,) if credential is None else (credential, _HANDLE_ERRORS),
        mapper=(*_SEND_DATA, *_LOGIN) if credential is None else _SEND_DATA,
        output=_RESPONSE,
        perform=_send_data,
        effect=effect_of,
    )


MODULES: Final = (
    _sender("http:ActionSendData", "Make a request", None),
    _sender(
        "http:ActionSendDataAPIKeyAuth",
        "Make an API key auth request",
        Field(name="auth", type="keychain:apikeyauth", label="Credentials", required=True),
    ),
    _sender(
        "http:ActionSendDataBasicAuth",
        "Make a basic auth request",
        Field(name="key", type="keychain:basicauth", label="Credentials", required=True),
    ),
    _sender(
        "http:ActionSendDataOAuth",
        "Make an OAuth 2.0 request",
        Field(name="account", type="account:oauth2", label="Connection", required=True),
    ),
    ModuleSpec(
        name="http:ActionGetFile",
        label="Get a file",
        kind=Kind.ACTION,
        versions=(2, 3),
        help="Downloads a file.",
        parameters=(Field(name="handleErrors", type="boolean", label=_HANDLE_ERRORS.label, default=True),),
        mapper=(_URL, _SERIALIZE, _METHOD, _HEADERS, _TIMEOUT, _REDIRECT),
        output=(
            Field(name="fileName", type="filename", label="File name"),
            Field(name="data", type="buffer", label="Data"),
            Field(name="fileSize", type="number", label="File size"),
            Field(name="headers", type="array", label="Headers", spec=_PAIR),
        ),
        perform=_get_file,
        effect=Effect.READ,
    ),
    ModuleSpec(
        name="http:MakeRequest",
        label="Make a request",
        kind=Kind.ACTION,
        versions=(4,),
        help="Calls an address and gives its answer.",
        parameters=(
            Field(
                name="authenticationType",
                type="select",
                label="Authentication type",
                default="noAuth",
                options=choices(
                    noAuth="No authentication", apiKey="API key", basicAuth="Basic auth", oAuth="OAuth 2.0"
                ),
            ),
            Field(name="apiKeyKeychain", type="keychain:apikeyauth", label="API key"),
            Field(name="basicAuthKeychain", type="keychain:basicauth", label="User name and password"),
            Field(name="oAuthAccount", type="account:oauth2", label="Connection"),
        ),
        mapper=(
            _URL,
            _METHOD,
            _HEADERS,
            Field(name="queryParameters", type="array", label="Query parameters", spec=_PAIR),
            Field(
                name="contentType",
                type="select",
                label="Body content type",
                options=choices("", json="JSON", multipart="Multipart", urlEncoded="URL encoded", custom="Custom"),
            ),
            Field(
                name="inputMethod",
                type="select",
                label="Body input method",
                options=choices(jsonString="JSON string", dataStructure="Data structure"),
            ),
            Field(
                name="jsonStringBodyContent",
                type="any",
                label="Body content",
                multiline=True,
                help="Mapped values are not escaped: build the JSON with Create JSON when they may hold quotes.",
            ),
            Field(name="bodyContent", type="any", label="Body content", multiline=True),
            _PARSE,
            Field(name="stopOnHttpError", type="boolean", label="Return error if HTTP request fails", default=True),
            _TIMEOUT,
            Field(name="allowRedirects", type="boolean", label="Allow redirects", default=True, advanced=True),
        ),
        output=(
            Field(name="data", type="any", label="Data"),
            Field(name="statusCode", type="number", label="Status code"),
            Field(name="headers", type="collection", label="Headers"),
        ),
        perform=_make_request,
        effect=effect_of,
    ),
)

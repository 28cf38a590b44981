"""The app `http`: calls to any address.

The declarations: what each module asks for and gives. What they do stands in `http_calls`, what is
sent in `http_request` and `http_bodies`, what is read in `http_response`.
"""

from typing import Final

from make_bridge.engine.apps.fields import Bounds, Field, choices
from make_bridge.engine.apps.http_calls import get_file, make_request, resolve_url, send_data, spread_headers
from make_bridge.engine.apps.http_pages import DEFAULT_PAGES, MAX_PAGES
from make_bridge.engine.apps.http_request import DEFAULT_TIMEOUT, MAX_TIMEOUT, METHODS, effect_of
from make_bridge.engine.apps.module import Effect, Kind, ModuleSpec

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
_SHARE_COOKIES: Final = Field(
    name="shareCookies",
    type="boolean",
    label="Share cookies with other HTTP modules",
    default=False,
    help="With those of this run that share theirs; each cookie goes back to the server that set it only.",
    advanced=True,
)
_TLS: Final = (
    Field(
        name="ca",
        type="cert",
        label="Self-signed certificate",
        help="PEM text of a certificate to trust for this call, beside the usual authorities.",
        multiline=True,
        advanced=True,
    ),
    Field(
        name="rejectUnauthorized",
        type="boolean",
        label="Reject connections that are using unverified (self-signed) certificates",
        default=True,
        advanced=True,
    ),
    Field(
        name="useMtls",
        type="boolean",
        label="Use mutual TLS",
        default=False,
        help="Offered by the module with client certificate, and by Make a request with mTLS.",
        advanced=True,
    ),
)
_QUERY: Final = Field(name="qs", type="array", label="Query string", spec=_PAIR)
_USE_QUERYSTRING: Final = Field(
    name="useQuerystring",
    type="boolean",
    label="Disable serialization of multiple same query string keys as arrays",
    default=False,
    help="Off: a[0]=1&a[1]=2. On: a=1&a=2.",
    advanced=True,
)
_GZIP: Final = Field(name="gzip", type="boolean", label="Request compressed content", default=True, advanced=True)
_ALL_REDIRECTS: Final = Field(
    name="followAllRedirects", type="boolean", label="Follow all redirects", default=False, advanced=True
)
_FORM_FIELD: Final = (
    Field(name="key", type="text", label="Key"),
    Field(name="value", type="any", label="Value"),
)
_FILE_FIELD: Final = (
    *_FORM_FIELD,
    Field(name="fieldType", type="select", label="Field type", default="text", options=choices("text", "file")),
    Field(name="fileName", type="filename", label="File name"),
    Field(name="data", type="any", label="Data"),
)
_SEND_DATA: Final = (
    _URL,
    _SERIALIZE,
    _METHOD,
    _HEADERS,
    _QUERY,
    _USE_QUERYSTRING,
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
    Field(name="formFields", type="array", label="Fields", spec=_FILE_FIELD, help="Of a form, or of a multipart body."),
    Field(name="formDataFields", type="array", label="Fields", spec=_FILE_FIELD, help="Of a multipart body."),
    _PARSE,
    _TIMEOUT,
    _SHARE_COOKIES,
    _GZIP,
    *_TLS,
    _REDIRECT,
    _ALL_REDIRECTS,
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


_PAGES: Final = (
    Field(
        name="paginationType",
        type="select",
        label="Pagination type",
        help="Reads page after page; each is a bundle.",
        options=choices(
            "",
            offsetBased="By offset",
            pageBased="By page number",
            urlBased="By the next page's address",
            tokenBased="By the next page's token",
        ),
        advanced=True,
    ),
    Field(
        name="paginationParameter",
        type="text",
        label="Query parameter",
        help="What carries the offset, the page number or the token: offset, page or page_token when empty.",
        advanced=True,
    ),
    Field(name="paginationStart", type="uinteger", label="First offset or page", advanced=True),
    Field(
        name="paginationLimit",
        type="uinteger",
        label="Items per page",
        help="100 when empty, for pagination by offset.",
        advanced=True,
    ),
    Field(name="paginationLimitParameter", type="text", label="Query parameter of the limit", advanced=True),
    Field(
        name="paginationItems",
        type="text",
        label="Where the items are",
        help="A path such as data.items. Empty: the body itself, or the only array in it. A page without items ends.",
        advanced=True,
    ),
    Field(
        name="paginationNext",
        type="text",
        label="Where the next page is named",
        help="A path to its address or token, such as data.paging.next. Empty: the Link header.",
        advanced=True,
    ),
    Field(
        name="paginationMaxPages",
        type="uinteger",
        label="Most pages",
        help=f"{DEFAULT_PAGES} when empty.",
        advanced=True,
        validate=Bounds(min=1, max=MAX_PAGES),
    ),
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
        perform=send_data,
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
    _sender(
        "http:ActionSendDataClientCertAuth",
        "Make a client certificate auth request",
        Field(name="certificate", type="keychain:clientcertauth", label="Credentials", required=True),
    ),
    ModuleSpec(
        name="http:ActionResolveTargetURL",
        label="Resolve a target URL",
        kind=Kind.ACTION,
        versions=(3,),
        help="Follows an address's redirects and gives where they end.",
        mapper=(
            _URL,
            _SERIALIZE,
            Field(
                name="method",
                type="select",
                label="Method",
                default="head",
                help="HEAD asks for no content; use GET where a server does not answer it.",
                options=choices("head", "get"),
            ),
            _HEADERS,
            _TIMEOUT,
            _SHARE_COOKIES,
            *_TLS,
        ),
        output=(
            Field(name="url", type="url", label="URL"),
            Field(name="statusCode", type="number", label="Status code"),
        ),
        perform=resolve_url,
        effect=Effect.READ,
    ),
    ModuleSpec(
        name="http:ActionRetrieveHeaders",
        label="Retrieve headers",
        kind=Kind.TRANSFORMER,
        versions=(3,),
        help="Gives each header of an earlier module's answer as a bundle of its own.",
        mapper=(Field(name="headers", type="any", label="Headers", required=True, help="Map the module's headers."),),
        output=_PAIR,
        run=spread_headers,
    ),
    ModuleSpec(
        name="http:ActionGetFile",
        label="Get a file",
        kind=Kind.ACTION,
        versions=(2, 3),
        help="Downloads a file.",
        parameters=(Field(name="handleErrors", type="boolean", label=_HANDLE_ERRORS.label, default=True),),
        mapper=(
            _URL,
            _SERIALIZE,
            Field(name="method", type="select", label="Method", default="get", options=choices("get", "head")),
            _HEADERS,
            _QUERY,
            _USE_QUERYSTRING,
            *_LOGIN,
            _TIMEOUT,
            _SHARE_COOKIES,
            _GZIP,
            *_TLS,
            _REDIRECT,
            _ALL_REDIRECTS,
        ),
        output=(
            Field(name="fileName", type="filename", label="File name"),
            Field(name="data", type="buffer", label="Data"),
            Field(name="fileSize", type="number", label="File size"),
            Field(name="statusCode", type="number", label="Status code"),
            Field(name="headers", type="array", label="Headers", spec=_PAIR),
            Field(name="cookieHeaders", type="array", label="Cookie headers"),
        ),
        perform=get_file,
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
            Field(
                name="tlsType",
                type="select",
                label="Transport layer security (TLS)",
                help="Certificates of one's own: mTLS shows one to the server, TLS only trusts another authority.",
                options=choices("", tls="TLS", mTls="mTLS"),
                advanced=True,
            ),
            Field(name="tlsKeychain", type="keychain:clientcertauth", label="Certificates", advanced=True),
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
            Field(name="dataStructureBodyContent", type="any", label="Body content", help="Of a data structure."),
            Field(name="urlEncodedBodyContent", type="array", label="Body content", spec=_PAIR),
            Field(
                name="multipartBodyContent",
                type="array",
                label="Body content",
                spec=(
                    Field(name="name", type="text", label="Name"),
                    Field(name="value", type="any", label="Value"),
                    Field(
                        name="multipartFieldType",
                        type="select",
                        label="Field type",
                        default="text",
                        options=choices(text="Text", file="File"),
                    ),
                    Field(name="fileName", type="filename", label="File name"),
                    Field(name="data", type="any", label="Data"),
                ),
            ),
            Field(name="customContentType", type="text", label="Content type"),
            Field(name="bodyContent", type="any", label="Body content", multiline=True),
            _PARSE,
            Field(name="stopOnHttpError", type="boolean", label="Return error if HTTP request fails", default=True),
            _TIMEOUT,
            Field(name="allowRedirects", type="boolean", label="Allow redirects", default=True, advanced=True),
            _SHARE_COOKIES,
            Field(
                name="requestCompressedContent",
                type="boolean",
                label="Request compressed content",
                default=True,
                advanced=True,
            ),
            *_PAGES,
        ),
        output=(
            Field(name="data", type="any", label="Data"),
            Field(name="statusCode", type="number", label="Status code"),
            Field(name="headers", type="collection", label="Headers"),
        ),
        perform=make_request,
        effect=effect_of,
    ),
)

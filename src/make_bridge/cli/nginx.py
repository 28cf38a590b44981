"""``nginx``: writes the configuration of an nginx before the servers, with the sizes and times of these settings.

The text is ``nginx.conf.template`` beside this file; compose's own was written so, and tests run nginx with what comes
out here. It holds what a proxy before these servers must do and no other will know: name the caller, refuse the probes
to the world, repeat nothing that was done, and leave a server that ends in time.
"""

import math
import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from make_bridge.cli.options import Config
from make_bridge.cli.output import command
from make_bridge.kernel.errors import InvalidInput
from make_bridge.settings import PROXIED_SECONDS, Settings, load_settings

_MEBIBYTE: Final = 1024**2
_SPARE_SECONDS: Final = 10
_ADDRESS: Final = re.compile(r"[A-Za-z0-9._-]{1,253}:\d{1,5}|\[[0-9A-Fa-f:.]{2,45}\]:\d{1,5}")
_LISTEN: Final = re.compile(rf"\d{{1,5}}|{_ADDRESS.pattern}")
_PATH: Final = re.compile(r"[A-Za-z0-9._/-]+")
_RESOLVE: Final = """
#
# Needs nginx 1.27.4 or newer: `resolve` follows the servers as they come and go, and `keepalive_min_timeout` leaves
# callers' connections open for a while when this configuration is read again."""
_PATIENT: Final = "    keepalive_min_timeout 5s;\n"
_LIMITS: Final = """\
    # Coarse, because an office or a sender of webhooks is one address: what is fair is counted by the servers.
    limit_conn_zone $binary_remote_addr zone=connections:10m;
    limit_req_zone $binary_remote_addr zone=requests:10m rate={rate}r/s;
    limit_conn_status 429;
    limit_req_status 429;
    limit_conn connections 200;
    limit_req zone=requests burst={burst} nodelay;

"""
_TLS: Final = """\
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers off;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
    ssl_session_cache shared:tls:10m;
    ssl_session_tickets off;

"""
_HEALTH: Final = """\
        location = /of-nginx {
            access_log off;
            allow 127.0.0.1;
            deny all;
            return 204;
        }
"""
_TO_HTTPS: Final = """\
    server {{
        listen {plain};
{health}        location / {{
            return 308 https://$host$request_uri;
        }}
    }}

"""
_SERVER: Final = """\
    server {{
        listen {listen}{ssl};
{certificate}{health}
        # For machines of the installation, on its own network.
        location ~ ^/(live|ready|metrics|health|internal)($|/) {{
            return 404;
        }}
        # A portal token lets in once. What was refused a connection goes to another server; of what broke off later a
        # second try is refused for its token, so nothing is done twice. What takes long is waited for and not repeated.
        location /portal/ {{
            proxy_next_upstream error;
            proxy_pass http://bridge;
        }}
        location / {{
            proxy_pass http://bridge;
        }}
    }}
"""


@command
async def nginx(
    *,
    server: Annotated[
        list[str], typer.Option("--server", help="A server's HOST:PORT; give it once for each. Gateways, with --roles.")
    ],
    listen: Annotated[str, typer.Option("--listen", help="The port, or ADDRESS:PORT, that the world calls.")] = "443",
    plain: Annotated[
        str | None, typer.Option("--plain", help="A port, or ADDRESS:PORT, from which callers are sent to https.")
    ] = "80",
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="The certificate (chain). Without one it speaks plain HTTP.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Its key.")] = None,
    resolver: Annotated[
        str | None,
        typer.Option("--resolver", help="A DNS server that is asked again and again who a server's name is."),
    ] = None,
    http2: Annotated[bool, typer.Option("--http2/--no-http2", help="Off for nginx before 1.25.1.")] = True,
    rate: Annotated[
        int, typer.Option("--rate", min=0, max=1_000_000, help="Requests a second of one address; 0 for no limit.")
    ] = 200,
    work: Annotated[Path, typer.Option("--work", help="Where nginx may write.")] = Path("/tmp"),  # noqa: S108
    requests: Annotated[Path, typer.Option("--requests", help="Where it logs requests.")] = Path("/dev/stdout"),
    errors: Annotated[Path, typer.Option("--errors", help="Where it logs errors.")] = Path("/dev/stderr"),
    config: Config = None,
) -> None:
    """Print a configuration for an nginx before these servers; `nginx -t -c FILE` checks it."""
    if (certificate is None) != (key is None):
        message = "A certificate comes with its key: give both --certificate and --key, or neither."
        raise InvalidInput(message)
    settings = load_settings(config).settings
    following = "" if resolver is None else " resolve"
    servers = [
        f"        server {_checked(_ADDRESS, name)}{following} max_fails=1 fail_timeout=2s;\n" for name in server
    ]
    filled = {
        "needs": _RESOLVE if following else "",
        "work": _checked(_PATH, work),
        "requests": _checked(_PATH, requests),
        "errors": _checked(_PATH, errors),
        "body": _size(max(settings.hook_body_bytes, settings.blueprint_body_bytes, settings.api_body_bytes)),
        "limits": _LIMITS.format(rate=rate, burst=2 * rate) if rate else "",
        "patient": _PATIENT if following else "",
        "resolver": "" if resolver is None else f"    resolver {_checked(_PATH, resolver)} valid=5s ipv6=off;\n",
        "servers": "".join(servers),
        "patience": str(_patience(settings)),
        "idle": str(_idle_seconds(settings)),
        "tls": "" if certificate is None else _TLS,
        "front": _front(listen, plain, certificate, key, http2=http2),
    }
    template = files("make_bridge.cli").joinpath("nginx.conf.template").read_text(encoding="utf-8")
    typer.echo(re.sub(r"@([a-z]+)@", lambda found: filled[found[1]], template), nl=False)


def _front(listen: str, plain: str | None, certificate: Path | None, key: Path | None, *, http2: bool) -> str:
    address = _checked(_LISTEN, listen)
    if certificate is None or key is None:
        return _SERVER.format(listen=address, ssl="", certificate="", health=_HEALTH)
    lines = "        http2 on;\n" if http2 else ""
    lines += f"        ssl_certificate {_checked(_PATH, certificate)};\n"
    lines += f"        ssl_certificate_key {_checked(_PATH, key)};\n"
    to_https = "" if plain is None else _TO_HTTPS.format(plain=_checked(_LISTEN, plain), health=_HEALTH)
    return to_https + _SERVER.format(listen=address, ssl=" ssl", certificate=lines, health="" if to_https else _HEALTH)


def _checked(shape: re.Pattern[str], given: str | Path) -> str:
    """Return what may stand in the file as it is; what could end a line or begin a directive is refused."""
    text = str(given)
    if shape.fullmatch(text) is None:
        message = f"{text!r} cannot stand in a configuration of nginx: give a plain HOST:PORT, port or path."
        raise InvalidInput(message)
    return text


def _size(size: int) -> str:
    return f"{math.ceil(size / _MEBIBYTE)}m"


def _idle_seconds(settings: Settings) -> int:
    """Return how long nginx keeps a connection that it does not use: less than a server that ends leaves it open."""
    return max(1, math.floor(settings.last_calls_seconds or PROXIED_SECONDS) - 1)


def _patience(settings: Settings) -> int:
    return math.ceil(settings.webhook_response_seconds) + _SPARE_SECONDS

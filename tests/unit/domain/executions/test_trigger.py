"""From a webhook call to the trigger's bundle: every kind of body, every option of a hook."""

import contextlib
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from make_bridge.domain.executions.trigger import CallHead, HookSettings, decode_settings, require_key, trigger_bundle
from make_bridge.kernel.errors import InvalidInput, Unauthenticated

LIMIT = 5 * 1024 * 1024


def bundle(body=b"", kind="", query="", method="POST", headers=(), **options):
    head = CallHead(method=method, query=query, content_type=kind, headers=list(headers))
    return trigger_bundle(head, body, HookSettings(**options), max_bytes=LIMIT)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_query_and_body_are_merged_whatever_the_method(method):
    assert bundle(query="a=1&b=x+y", method=method) == {"a": "1", "b": "x y"}
    assert bundle(b'{"b": 2}', "application/json", "a=1&b=1", method) == {"a": "1", "b": 2}


@pytest.mark.attack("D13")
@pytest.mark.parametrize(
    ("kind", "body", "made"),
    [
        ("application/json", b"[1, 2]", {"array": [1, 2]}),
        ("application/vnd.x+json; charset=utf-8", b'{"a": null}', {"a": None}),
        ("application/json", b'"x"', {"value": "x"}),
        ("text/plain", b'{"a": 1}', {"a": 1}),
        ("text/plain", b"{not json", {"value": "{not json"}),
        ("", b" [1]", {"array": [1]}),
        ("text/csv", b"a,b", {"value": "a,b"}),
        ("application/x-www-form-urlencoded", b"a=1&b=&a=2&a=3", {"a": ["1", "2", "3"], "b": ""}),
        ("application/xml", "<a>\u00fc</a>".encode(), {"value": "<a>\u00fc</a>"}),
    ],
)
def test_a_body_is_read_by_its_content_type(kind, body, made):
    assert bundle(body, kind) == made


@pytest.mark.attack("D13")
@pytest.mark.parametrize(("kind", "body"), [("application/json", b"{"), ("application/json", b'{"a":' * 300)])
def test_a_body_that_is_not_what_it_says_is_refused(kind, body):
    with pytest.raises(InvalidInput):
        bundle(body, kind)


def test_the_options_of_a_hook_show_what_they_name():
    made = bundle(b'{"a": 1}', "application/json", headers=[("x-a", "1")], method="PUT")
    assert made == {"a": 1}
    options = decode_settings(b'{"headers": true, "method": true, "stringify": true, "unknown": 1}')
    head = CallHead(method="PUT", content_type="application/json", headers=[("x-a", "1")])
    assert trigger_bundle(head, b'{"a": 1}', options, max_bytes=LIMIT) == {
        "value": '{"a": 1}',
        "__IMTHEADERS__": [{"name": "x-a", "value": "1"}],
        "__IMTMETHOD__": "PUT",
    }


FORM = 'multipart/form-data; boundary="x y"'


def form(*parts, end=b"--x y--\r\n"):
    return b"".join(b"--x y\r\n" + part + b"\r\n" for part in parts) + end


def test_uploads_are_files_with_their_bytes():
    large = bytes(range(256)) * 8192
    body = form(
        b'Content-Disposition: form-data; name="note"\r\n\r\n' + "gr\u00fc\u00df\r\n".encode(),
        b'content-disposition: form-data; name="f%22"; filename="a%22b.png"\r\nContent-Type: image/png\r\n\r\n' + large,
        b'Content-Disposition: form-data; name="f2"; filename=""\r\n\r\n',
        b'Content-Disposition: form-data; name="f2"; filename="\xc3\xbc.txt"\r\n\r\n--x yz\r\n--x',
    )
    assert bundle(body, FORM) == {
        "note": "gr\u00fc\u00df\r\n",
        'f"': {"name": 'a"b.png', "mime": "image/png", "data": large},
        "f2": [
            {"name": "", "mime": "application/octet-stream", "data": b""},
            {"name": "\u00fc.txt", "mime": "application/octet-stream", "data": b"--x yz\r\n--x"},
        ],
    }


@pytest.mark.attack("D13")
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", form(b'Content-Disposition: form-data; name="a"\r\n\r\n1')),
        (FORM, form(b'Content-Disposition: form-data; name="a"\r\n\r\n1', end=b"")),
        (FORM, form(b"\r\n1")),
        (FORM, b"--other\r\n"),
        (FORM, form(*[b'Content-Disposition: form-data; name="a"\r\n\r\n1'] * 2001)),
    ],
)
def test_a_multipart_body_that_is_malformed_is_refused(kind, body):
    with pytest.raises(InvalidInput):
        bundle(body, kind)


@pytest.mark.attack("C18")
def test_what_looks_like_a_file_in_json_is_no_file():
    made = bundle(json.dumps({"f": {"name": "x", "mime": "y", "data": "/etc/passwd"}}).encode(), "application/json")
    assert made["f"]["data"] == "/etc/passwd"


def test_a_mail_is_read_as_mail():
    made = bundle(b"From: a@b.example\r\nSubject: s\r\n\r\nhello", "message/rfc822")
    assert (made["from"]["address"], made["subject"], made["text"]) == ("a@b.example", "s", "hello")


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from(
        ["", "application/json", FORM, "text/plain", "message/rfc822", "application/x-www-form-urlencoded"]
    ),
)
def test_any_body_is_read_or_refused(body, kind):
    with contextlib.suppress(InvalidInput):
        assert isinstance(bundle(body, kind), dict)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.text("ab", min_size=1, max_size=3), st.binary(max_size=60)), min_size=1, max_size=6))
def test_files_come_back_as_they_went_in(files):
    parts = [
        b'Content-Disposition: form-data; name="%b"; filename="f"\r\n\r\n%b' % (name.encode(), data)
        for name, data in files
        if b"--x y" not in data
    ]
    made = bundle(form(*parts), FORM) if parts else {}
    found = [file for value in made.values() for file in (value if isinstance(value, list) else [value])]
    assert sorted(file["data"] for file in found) == sorted(data for _, data in files if b"--x y" not in data)


def test_a_hook_with_keys_asks_for_one_of_them():
    keys = [hashlib.sha256(key).hexdigest() for key in (b"first", b"second")]
    locked = HookSettings(api_keys=keys)
    require_key(locked, "first")
    require_key(locked, "second")
    require_key(HookSettings(), None)
    for wrong in (None, "", "third", keys[0], "\u00fc", "\udcff"):
        with pytest.raises(Unauthenticated):
            require_key(locked, wrong)

"""Bodies: strict JSON of a declared shape, absent where that is allowed, and sentences for everything else."""

import hashlib

import pytest
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from make_bridge.faces.edge.body import check_content_type, parse_object, parse_optional, read_bytes
from make_bridge.faces.edge.idempotency import read_repetition
from make_bridge.kernel.errors import InvalidInput, TooLarge


class Inner(BaseModel):
    model_config = ConfigDict(strict=True)
    enable: bool


class Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")
    count: int
    inner: Inner | None = None


def request(headers=(), pieces=(), path="/p", query=b"", method="POST"):
    left = list(pieces)

    async def receive():
        piece = left.pop(0) if left else b""
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": raw}
    return Request(scope, receive)


async def test_a_body_is_read_in_one_piece():
    assert await read_bytes(request(pieces=[b"ab", b"", b"c"]), 3) == b"abc"


async def test_reading_stops_at_the_first_byte_too_many():
    with pytest.raises(TooLarge):
        await read_bytes(request(pieces=[b"ab", b"cd"]), 3)


@pytest.mark.parametrize("raw", [b"", b"  \n", b"null", b" null\n"])
def test_no_body_and_null_are_nothing(raw):
    assert parse_optional(raw, Shape, max_depth=10) is None


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"true"])
def test_a_body_that_is_no_object_is_refused(raw):
    with pytest.raises(InvalidInput, match="must be a JSON object"):
        parse_object(raw, Shape, max_depth=10)


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"{}", {"count": "is missing"}),
        (b'{"count": "1"}', {"count": "must be a whole number"}),
        (b'{"count": 1.0}', {"count": "must be a whole number"}),
        (b'{"count": true}', {"count": "must be a whole number"}),
        (b'{"count": 1, "inner": 5}', {"inner": "must be an object"}),
        (b'{"count": 1, "inner": {"enable": "yes"}}', {"inner.enable": "must be true or false"}),
        (b'{"inner": {}}', {"count": "is missing", "inner.enable": "is missing"}),
    ],
)
def test_each_wrong_member_is_named_with_what_it_must_be(raw, fields):
    with pytest.raises(InvalidInput) as caught:
        parse_object(raw, Shape, max_depth=10)
    assert caught.value.fields == fields
    assert caught.value.message == " ".join(f"{name} {saying}." for name, saying in fields.items())


@pytest.mark.parametrize(
    "raw",
    [
        b'{"count": 1, "count": 2}',
        b'{"count": NaN}',
        b'{"count": 1} x',
        b'{"count": 1,}',
        b'{"a": "\\ud800", "count": 1}',
        b'{"a": "\\u0000", "count": 1}',
        b'\xff{"count": 1}',
        b'\xef\xbb\xbf{"count": 1}',
        b'{"a": ' + b"[" * 11 + b"]" * 11 + b', "count": 1}',
        b"[" * 100_000,
    ],
)
def test_json_that_parsers_read_differently_is_refused(raw):
    with pytest.raises(InvalidInput):
        parse_object(raw, Shape, max_depth=10)


def test_unknown_members_are_ignored_where_the_shape_says_so():
    assert parse_object(b'{"count": 1, "other": {"a": [1]}}', Shape, max_depth=10).count == 1


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "MULTIPART/mixed"]
)
def test_a_form_is_not_taken_for_json(kind):
    with pytest.raises(InvalidInput) as caught:
        check_content_type(request([("content-type", kind)]))
    assert caught.value.reason == "unsupported_media_type"


@pytest.mark.parametrize("kind", ["application/json", "text/plain;charset=UTF-8", "application/vnd.x+json"])
def test_other_content_types_are_no_matter(kind):
    check_content_type(request([("content-type", kind)]))
    check_content_type(request())


def test_a_request_without_an_idempotency_key_is_not_repeatable():
    assert read_repetition(request(), b"") is None


@pytest.mark.parametrize("key", ["k", "k" * 255, "!~", '"quoted"'])
def test_a_key_is_visible_ascii(key):
    found = read_repetition(request([("idempotency-key", key)]), b"")
    assert found is not None
    assert found.key == key


@pytest.mark.parametrize("keys", [[""], ["k" * 256], ["a b"], ["é"], ["a\x7f"], ["a", "b"]])
def test_a_key_that_is_none_is_refused(keys):
    with pytest.raises(InvalidInput, match="1 to 255 visible ASCII"):
        read_repetition(request([("idempotency-key", key) for key in keys]), b"")


def test_the_digest_covers_method_address_and_body_and_nothing_can_slide_between_them():
    def digest(body=b"b", **more):
        found = read_repetition(request([("idempotency-key", "k")], **more), body)
        assert found is not None
        return found.digest

    digests = {
        digest(),
        digest(body=b"c"),
        digest(path="/q"),
        digest(query=b"teamId=1"),
        digest(method="PUT"),
        digest(path="/pb", body=b""),
    }
    assert len(digests) == 6
    assert digest() == digest()
    assert len(digest()) == hashlib.sha256().digest_size

"""Static files: packed where the browser takes it, and still the same files to caches and to readers of parts."""

import gzip

import pytest

from make_bridge.faces.edge.access import PublicMount
from make_bridge.faces.edge.built_files import BuiltFiles, accepts_gzip
from support.edge import client_of

SCRIPT = b"export const answer = 42; // said again and again\n" * 400
PATH = "/portal/static/wizard/assets/index-abc.js"
PACKED = [("Accept-Encoding", "gzip, deflate, br")]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "wizard/assets").mkdir(parents=True)
    (tmp_path / "wizard/assets/index-abc.js").write_bytes(SCRIPT)
    (tmp_path / "wizard/assets/small.css").write_bytes(b"a{}")
    (tmp_path / "wizard/assets/picture.png").write_bytes(b"\x89PNG" + SCRIPT)
    return tmp_path


@pytest.fixture
def client(folder):
    return client_of([PublicMount("/portal/static", BuiltFiles(folder), because="a test")])


async def test_a_script_is_sent_packed_to_a_browser_that_takes_it(client):
    answer = await client.get(PATH, headers=PACKED)
    assert (answer.status, answer.header("content-encoding")) == (200, "gzip")
    assert gzip.decompress(answer.body) == SCRIPT
    assert len(answer.body) == int(answer.header("content-length")) < len(SCRIPT) / 4
    assert answer.header("content-type").startswith("text/javascript")
    assert answer.header("cache-control") == "public, max-age=31536000, immutable"
    assert answer.header("vary") == "Accept-Encoding"


async def test_whoever_asks_for_nothing_gets_the_plain_file_and_caches_know_why(client):
    answer = await client.get(PATH)
    assert (answer.body, answer.header("content-encoding")) == (SCRIPT, None)
    assert answer.header("vary") == "Accept-Encoding"


@pytest.mark.parametrize("name", ["small.css", "picture.png"])
async def test_what_gains_nothing_stays_plain(client, name):
    answer = await client.get(f"/portal/static/wizard/assets/{name}", headers=PACKED)
    assert (answer.status, answer.header("content-encoding")) == (200, None)


async def test_both_forms_have_tags_of_their_own_and_are_confirmed_by_them(client):
    plain, packed = await client.get(PATH), await client.get(PATH, headers=PACKED)
    assert plain.header("etag") != packed.header("etag")
    for answer, wish in ((plain, []), (packed, PACKED)):
        tag = answer.header("etag")
        again = await client.get(PATH, headers=[*wish, ("If-None-Match", f'"other", W/{tag}')])
        assert (again.status, again.body, again.header("etag")) == (304, b"", tag)
        assert again.header("vary") == "Accept-Encoding"
    crossed = await client.get(PATH, headers=[("If-None-Match", packed.header("etag"))])
    assert (crossed.status, crossed.body) == (200, SCRIPT)


async def test_a_file_is_packed_once_and_again_when_it_has_changed(client, folder, monkeypatch):
    packed = []
    compress = gzip.compress

    def counting(data, *level, **more):
        packed.append(len(data))
        return compress(data, *level, **more)

    monkeypatch.setattr(gzip, "compress", counting)
    for _ in range(3):
        await client.get(PATH, headers=PACKED)
    assert len(packed) == 1
    (folder / "wizard/assets/index-abc.js").write_bytes(SCRIPT * 2)
    assert gzip.decompress((await client.get(PATH, headers=PACKED)).body) == SCRIPT * 2
    assert len(packed) == 2


async def test_what_is_kept_packed_is_bounded(folder):
    client = client_of([PublicMount("/portal/static", BuiltFiles(folder, most_kept=10), because="a test")])
    answer = await client.get(PATH, headers=PACKED)
    assert (answer.body, answer.header("content-encoding")) == (SCRIPT, None)


@pytest.mark.parametrize(("wish", "part"), [("bytes=10-19", slice(10, 20)), ("bytes=-5", slice(-5, None))])
async def test_a_part_is_a_part_of_the_plain_file(client, wish, part):
    answer = await client.get(PATH, headers=[*PACKED, ("Range", wish)])
    assert (answer.status, answer.body, answer.header("content-encoding")) == (206, SCRIPT[part], None)


async def test_a_part_of_the_packed_form_is_the_whole_plain_file(client):
    tag = (await client.get(PATH, headers=PACKED)).header("etag")
    answer = await client.get(PATH, headers=[*PACKED, ("Range", "bytes=0-9"), ("If-Range", tag)])
    assert (answer.status, answer.body) == (200, SCRIPT)


@pytest.mark.attack("C16")
@pytest.mark.parametrize(
    "wish",
    [
        "bytes=" + ",".join(f"{n}-{n}" for n in range(1000)),
        "bytes=0-0,2-2",
        "bytes=5-2",
        "bytes=x",
        "lines=1-2",
        "bytes=-",
    ],
)
async def test_a_wish_for_many_parts_or_for_nonsense_counts_as_none(client, wish):
    answer = await client.get(PATH, headers=[("Range", wish)])
    assert (answer.status, answer.body) == (200, SCRIPT)


@pytest.mark.parametrize("wish", ["bytes=20000-", "bytes=-0", "bytes=999999999999-"])
async def test_a_part_behind_the_end_is_refused_in_the_shape_of_refusals(client, wish):
    answer = await client.get(PATH, headers=[("Range", wish)])
    assert answer.status == 416
    assert answer.header("content-range") == f"bytes */{len(SCRIPT)}"
    assert answer.json()["requestId"] == answer.header("x-request-id")


async def test_a_file_that_is_not_there_is_a_problem(client):
    for path in ("none.js", "../secret.js", "wizard", ".git/config"):
        answer = await client.get(f"/portal/static/{path}", headers=PACKED)
        assert (answer.status, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("header", "is_taken"),
    [
        ("gzip", True), ("GZIP;q=0.5", True), ("br, gzip; q=1.0", True), ("*", True), ("", False), ("identity", False),
        ("gzip;q=0", False), ("gzip;q=0.000", False), ("*;q=0", False), ("*, gzip;q=0", False), ("br", False),
        ("gzipped", False), ("gzip;q=x", False), ("gzip;q=1.5", False),
    ],
)  # fmt: skip
def test_a_browser_says_whether_it_takes_gzip(header, is_taken):
    assert accepts_gzip(header) is is_taken

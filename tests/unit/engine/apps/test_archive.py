"""Archives: packed, unpacked, and made to hurt."""

import gzip
import io
import struct
import tarfile
import time
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.engine.apps import archive_reading
from make_bridge.engine.apps.archive import ArchiveAggregation
from make_bridge.engine.apps.archive_reading import unpack
from make_bridge.engine.apps.module import ModuleError
from support.one_module import collected, collecting_error, error, outputs

FILES = {"a.txt": b"alpha", "folder/b.bin": bytes(range(256)), "é.txt": b""}
NAMES = st.from_regex(r"[a-zé]{1,5}(/[a-z ]{1,5}){0,2}\.[a-z]{1,3}", fullmatch=True)


def named(value):
    """A test's id: archives hold the time of day, and every worker has to collect the same ids."""
    return value if isinstance(value, str) else "data"


def zipped(files, *, method=zipfile.ZIP_DEFLATED, folders=()):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for folder in folders:
            archive.writestr(folder, b"")
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred(files, *, form=tarfile.PAX_FORMAT, mode="w", entries=()):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode, format=form) as archive:
        for entry in entries:
            archive.addfile(entry)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


async def unpacked(data, **parameters):
    bundles = await outputs("archive:UnpackAction", {"data": "{{1.d}}"}, {"d": data}, **parameters)
    assert all(bundle["fileSize"] == len(bundle["data"]) for bundle in bundles)
    return {bundle["fileName"]: bundle["data"] for bundle in bundles}


async def refused(data, **parameters):
    found = await error("archive:UnpackAction", {"data": "{{1.d}}"}, {"d": data}, **parameters)
    return found.type, found.message


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (zipped(FILES, folders=["folder/"]), "zip"),
        (zipped(FILES, method=zipfile.ZIP_STORED), "zip"),
        (tarred(FILES), "tar"),
        (tarred(FILES, form=tarfile.GNU_FORMAT), "tar"),
        (tarred(FILES, form=tarfile.USTAR_FORMAT), "tar"),
        (tarred(FILES, mode="w:gz"), "tgz"),
    ],
    ids=named,
)
async def test_every_kind_is_unpacked_with_and_without_being_told(data, kind):
    assert await unpacked(data, type=kind) == FILES
    assert await unpacked(data) == FILES
    assert await unpacked(data, type="auto") == FILES


async def test_a_gzip_holds_one_file_with_its_name():
    made = io.BytesIO()
    with gzip.GzipFile("report.csv", "wb", fileobj=made) as file:
        file.write(b"a,b")
    assert await unpacked(made.getvalue()) == {"report.csv": b"a,b"}
    assert await unpacked(gzip.compress(b"x") + gzip.compress(b"y") + bytes(8)) == {"": b"xy"}


async def test_long_names_are_read_in_every_form():
    files = {"/".join(["folder" * 5] * 6) + "/file.txt": b"x"}
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        assert await unpacked(tarred(files, form=form)) == files


async def test_an_empty_archive_gives_no_bundles():
    assert await unpacked(zipped({})) == {}
    assert await unpacked(tarred({}), type="tar") == {}


BAD_NAMES = [
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "..\\..\\x",
    "C:\\x",
    "c:x",
    "a\nb",
    "a\u202eb",
    "..",
    "\\\\host\\x",
]


@pytest.mark.attack("J05")
@pytest.mark.parametrize("name", BAD_NAMES)
async def test_a_name_that_leaves_its_folder_refuses_the_archive(name):
    for data in (zipped({"good": b"", name: b"x"}), tarred({"good": b"", name: b"x"})):
        kind, message = await refused(data)
        assert kind == "DataError"
        assert "leaves its folder or is no name of a file" in message


@pytest.mark.attack("J05")
async def test_links_and_devices_hold_nothing_and_are_left_out():
    def entry(name, kind):
        made = tarfile.TarInfo(name)
        made.type, made.linkname = kind, "/etc/passwd"
        return made

    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
    entries = [entry(f"odd{number}", kind) for number, kind in enumerate(kinds)]
    assert await unpacked(tarred({"a": b"x"}, entries=entries)) == {"a": b"x"}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a", b"x")
    assert await unpacked(made.getvalue()) == {"a": b"x"}


@pytest.mark.attack("J05")
async def test_a_bomb_is_refused_before_it_goes_off():
    huge = zipped({f"{number}": bytes(2_000_000) for number in range(3)})
    assert len(huge) < 10_000
    started = time.thread_time()
    for data in (huge, gzip.compress(bytes(6_000_000)), gzip.compress(tarred({"a": bytes(6_000_000)}))):
        kind, message = await refused(data)
        assert kind == "MaxFileSizeExceededError"
        assert "unpacks to more than" in message
    assert time.thread_time() - started < 5


@pytest.mark.attack("J05")
async def test_a_size_that_lies_is_found_out():
    data = bytearray(zipped({"a": bytes(500_000)}))
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 10)
    assert (await refused(bytes(data)))[0] == "MaxFileSizeExceededError"
    struct.pack_into("<I", data, at + 24, 600_000)
    assert await refused(bytes(data)) == ("DataError", "The archive cannot be read: 'a' is damaged.")


async def test_entries_that_overlap_are_refused():
    data = zipped({"a": b"x" * 1000}, method=zipfile.ZIP_STORED)
    start = data.rfind(b"PK\x01\x02")
    end = data.rfind(b"PK\x05\x06")
    entry = data[start:end]
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 50, 50, 50 * len(entry), start, 0)
    assert await refused(data[:start] + entry * 50 + tail) == (
        "DataError",
        "The archive cannot be read: its entries overlap.",
    )


@pytest.mark.attack("J05")
async def test_entries_are_counted():
    many = {str(number): b"" for number in range(archive_reading.MAX_ENTRIES + 1)}
    for data in (zipped(many), tarred(many), gzip.compress(b"") * 1001):
        assert await refused(data) == (
            "MaxFileSizeExceededError",
            "The archive is too large: it has more than 1000 entries.",
        )


async def test_a_protected_entry_says_so():
    data = bytearray(zipped({"a": b"x"}))
    at = data.rfind(b"PK\x01\x02")
    data[at + 8] |= 1
    assert await refused(bytes(data)) == ("DataError", "The archive cannot be read: 'a' is protected by a password.")


def damaged_tar(offset, value):
    data = bytearray(tarred({"a": b"x" * 600}))
    data[offset : offset + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", ""),
        (b"no archive", ""),
        (zipped(FILES)[:40], ""),
        (zipped(FILES)[10:], "zip"),
        (zipped(FILES)[:-30], "zip"),
        (gzip.compress(b"x" * 100, mtime=0)[:20], ""),
        (gzip.compress(b"x" * 100, mtime=0)[:-4] + b"zzzz", ""),
        (b"\x1f\x8b", "gzip"),
        (b"x", "gzip"),
        (tarred(FILES)[:700], ""),
        (damaged_tar(124, b"99999999999\0"), ""),
        (damaged_tar(124, b"\xff" * 12), ""),
        (damaged_tar(124, b"\x80" + b"\xff" * 11), ""),
        (damaged_tar(0, b"b"), ""),
        (b"x" * 1024, "tar"),
        (b"PK\x05\x06" + b"\xff" * 18, ""),
    ],
    ids=named,
)
async def test_what_is_broken_is_an_error_with_a_sentence(data, kind):
    error_type, message = await refused(data, type=kind)
    assert error_type in {"DataError", "MaxFileSizeExceededError", "BundleValidationError"}
    assert message.endswith(".")


def complaint(data, kind):
    """What unpacking says; a full stop when it says nothing."""
    try:
        list(unpack(data, kind))
    except ModuleError as wrong:
        return wrong.message
    return "."


@given(st.binary(max_size=300), st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08", b"", zipped(FILES)[:60]]))
def test_any_bytes_give_files_or_a_sentence(data, head):
    for kind in ("", "zip", "tar", "gzip", "tgz"):
        assert complaint(head + data, kind).endswith(".")


@given(st.integers(0, len(zipped(FILES)) - 1), st.integers(0, 255))
def test_any_changed_byte_gives_files_or_a_sentence(at, value):
    for whole, kind in ((zipped(FILES), "zip"), (tarred(FILES), "tar"), (gzip.compress(b"abc" * 9), "gzip")):
        data = bytearray(whole)
        data[at % len(data)] = value
        assert complaint(bytes(data), kind).endswith(".")


@pytest.mark.parametrize(("kind", "name"), [("zip", "files.zip"), ("tar", "files.tar"), ("tgz", "files.tar.gz")])
async def test_files_of_a_loop_are_packed_and_the_same_files_to_the_same_bytes(kind, name):
    items = [{"n": path, "d": data} for path, data in FILES.items()]
    mapper = {"fileName": "{{2.n}}", "data": "{{2.d}}"}
    made = await collected("archive:CreateAggregator", mapper, items, type=kind, archiveName="files")
    assert made["fileName"] == name
    assert made["fileSize"] == len(made["data"])
    assert await unpacked(made["data"]) == FILES
    assert made == await collected("archive:CreateAggregator", mapper, items, type=kind, archiveName="files")


async def test_equal_names_get_numbers():
    mapper = {"fileName": "{{2.n}}", "data": "{{2.i}}"}
    items = [{"n": "a.txt", "i": "1"}, {"n": "a.txt", "i": "2"}, {"n": "b/c", "i": "3"}, {"n": "b/c", "i": "4"}]
    made = await collected("archive:CreateAggregator", mapper, items)
    assert list(await unpacked(made["data"])) == ["a.txt", "a (2).txt", "b/c", "b/c (2)"]


async def test_bad_names_and_kinds_are_not_packed():
    mapper = {"fileName": "{{2.value}}", "data": "x"}
    assert (await collecting_error("archive:CreateAggregator", mapper, ["../x"])).type == "DataError"
    found = await collecting_error("archive:CreateAggregator", mapper, ["x"], type="rar")
    assert (found.type, found.message) == ("InvalidConfigurationError", "Archives of the kind 'rar' are not made here.")


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=4), st.sampled_from(["zip", "tar", "tgz"]))
def test_what_is_packed_is_unpacked(files, kind):
    files = {" ".join(name.split()): data for name, data in files.items()}
    packing = ArchiveAggregation({"type": kind})
    for name, data in files.items():
        packing.add({"fileName": name, "data": data})
    result = packing.result()["data"]
    assert isinstance(result, bytes)
    assert {file.name: file.data for file in unpack(result, kind)} == files


@pytest.mark.parametrize("form", ["deflate", "raw", "gzip"])
async def test_what_is_deflated_is_inflated(form):
    (made,) = await outputs("archive:Deflate", {"data": "{{1.d}}", "format": form}, {"d": "text " * 50})
    assert len(made["data"]) == made["fileSize"] < 60
    for known in (form, "auto"):
        found = await outputs("archive:Inflate", {"data": "{{1.d}}", "format": known}, {"d": made["data"]})
        assert found == [{"data": b"text " * 50, "fileSize": 250}]


async def test_inflating_has_limits_and_damage_is_named():
    bomb = zlib.compress(bytes(6_000_000))
    found = await error("archive:Inflate", {"data": "{{1.d}}"}, {"d": bomb})
    assert found.type == "MaxFileSizeExceededError"
    found = await error("archive:Inflate", {"data": "{{1.d}}", "format": "deflate"}, {"d": b"nothing"})
    assert (found.type, found.message) == ("DataError", "The archive cannot be read: the compressed data is damaged.")

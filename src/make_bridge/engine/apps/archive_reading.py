"""Archives to files, within limits that are charged before anything is inflated.

Used by the `archive` app. Zip and tar are read by the few lines they need, not by the standard library: its
readers follow whatever an archive declares (entries that overlap, sizes below zero, sparse files), and what is
wanted here is files with plain names and nothing else. Sizes are believed only as far as they hold; a name that
leaves its folder refuses the whole archive; links, devices and folders hold no data and are left out.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from make_bridge.engine.apps.module import ErrorType, ModuleError

MAX_INPUT: Final = 32 * 1024 * 1024
MAX_ENTRIES: Final = 1_000
MAX_TOTAL: Final = 64 * 1024 * 1024
MAX_RATIO: Final = 100
FREE_OF_RATIO: Final = 1024 * 1024
MAX_NAME: Final = 1_000

_END: Final = struct.Struct("<4s4H2IH")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_LONGEST_COMMENT: Final = 65_535
_ENCRYPTED: Final = 0x1
_UTF8: Final = 0x800
_STORED: Final = 0
_DEFLATED: Final = 8
_OF_ZIP64: Final = 0xFFFFFFFF
_TAR_BLOCK: Final = 512
_OCTAL: Final = frozenset(b"01234567")
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_CHUNK: Final = 65_536
_FOLDER_BITS: Final = 0o170000
_LINK: Final = 0o120000
_GZIP_WINDOW: Final = 31
_RAW_WINDOW: Final = -15
_ZLIB_WINDOW: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """One file of an archive."""

    name: str
    data: bytes


class _Account:
    """What an archive may become: entries, bytes in all, bytes for each byte it had."""

    def __init__(self, size: int) -> None:
        if size > MAX_INPUT:
            raise _too_large(f"it has {size} bytes; at most {MAX_INPUT} are read")
        self.allowed = min(MAX_TOTAL, max(FREE_OF_RATIO, size * MAX_RATIO))
        self.entries = 0

    def enter(self) -> None:
        """Charge one entry."""
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise _too_large(f"it has more than {MAX_ENTRIES} entries")

    def charge(self, size: int) -> None:
        """Charge bytes before they are made."""
        self.allowed -= size
        if self.allowed < 0:
            raise self.exceeded()

    @staticmethod
    def exceeded() -> ModuleError:
        """Return the error for what unpacks to too much."""
        return _too_large(f"it unpacks to more than {MAX_TOTAL} bytes, or to more than {MAX_RATIO} times its size")


def _too_large(what: str) -> ModuleError:
    return ModuleError(ErrorType.FILE_SIZE, f"The archive is too large: {what}.")


def _broken(what: str) -> ModuleError:
    return ModuleError(ErrorType.DATA, f"The archive cannot be read: {what}.")


def kind_of(data: bytes) -> str:
    """Tell the kind of an archive from its first bytes; empty when it is none that is known here."""
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if data.startswith(b"\x1f\x8b"):
        return "gzip"
    return "tar" if data[257:262] == b"ustar" else ""


def unpack(data: bytes, kind: str) -> Iterator[Unpacked]:
    """Yield the files; a gzipped tar is both."""
    account = _Account(len(data))
    match kind or kind_of(data):
        case "zip":
            yield from _unzip(data, account)
        case "tar":
            yield from _untar(data, account)
        case "gzip" | "tgz" as chosen:
            name, inner = _gunzip(data, account)
            if chosen == "tgz" or kind_of(inner) == "tar":
                yield from _untar(inner, account)
            else:
                yield Unpacked(name=name, data=inner)
        case _:
            raise _broken("it is neither zip, tar nor gzip")


def inflate(data: bytes, form: str) -> bytes:
    """Return what deflated data holds; `form` is deflate, raw, gzip or auto."""
    account = _Account(len(data))
    window = {"deflate": _ZLIB_WINDOW, "raw": _RAW_WINDOW, "gzip": _GZIP_WINDOW}.get(form)
    if window is None:
        window = _GZIP_WINDOW if data.startswith(b"\x1f\x8b") else _ZLIB_WINDOW if _is_zlib(data) else _RAW_WINDOW
    return _inflated(data, window, account.allowed, account)


def _is_zlib(data: bytes) -> bool:
    return len(data) > 1 and data[0] & 0x0F == _DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0


def _inflated(data: bytes | memoryview, window: int, limit: int, account: _Account) -> bytes:
    """Inflate at most `limit` bytes; one byte more is an error before it is made."""
    inflater = zlib.decompressobj(window)
    try:
        made = inflater.decompress(data, limit + 1)
    except zlib.error:
        raise _broken("the compressed data is damaged") from None
    if len(made) > limit:
        raise account.exceeded()
    if not inflater.eof:
        raise _broken("it ends too early")
    return made


# Gzip.


def _gunzip(data: bytes, account: _Account) -> tuple[str, bytes]:
    """Return the name and the data of all members, one after the other."""
    pieces: list[bytes] = []
    at = 0
    while data.startswith(b"\x1f\x8b", at):
        account.enter()
        piece, at = _member(data, at, account)
        pieces.append(piece)
    if not pieces:
        raise _broken("it is no gzip")
    return _gzip_name(data), b"".join(pieces)


def _member(data: bytes, at: int, account: _Account) -> tuple[bytes, int]:
    """Inflate one member, a chunk at a time: what follows it is then never copied."""
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    pieces: list[bytes] = []
    while not inflater.eof:
        chunk = data[at : at + _CHUNK]
        if not chunk:
            raise _broken("it ends too early")
        at += len(chunk)
        try:
            piece = inflater.decompress(chunk, account.allowed + 1)
        except zlib.error:
            raise _broken("the compressed data is damaged") from None
        account.charge(len(piece))
        pieces.append(piece)
    return b"".join(pieces), at - len(inflater.unused_data)


def _gzip_name(data: bytes) -> str:
    flags, at = data[3], 10
    if flags & 0x04:
        at += 2 + int.from_bytes(data[10:12], "little")
    if not flags & 0x08:
        return ""
    end = data.find(b"\0", at, at + MAX_NAME)
    return safe_name(data[at:end].decode("latin-1")) if end > at else ""


# Zip.


def _unzip(data: bytes, account: _Account) -> Iterator[Unpacked]:
    """Read the directory at the end; every size in it is charged before its entry is inflated."""
    start = data.rfind(b"PK\x05\x06", max(0, len(data) - _LONGEST_COMMENT - _END.size))
    if start < 0 or start + _END.size > len(data):
        raise _broken("its directory is missing")
    _, _, _, _, count, _, at, _ = _END.unpack_from(data, start)
    if at == _OF_ZIP64:
        raise _broken("it is in the form for archives beyond 4 GB")
    entries: list[tuple[str, tuple[int, ...]]] = []
    for _ in range(count):
        account.enter()
        if data[at : at + 4] != b"PK\x01\x02" or at + _CENTRAL.size > len(data):
            raise _broken("its directory is damaged")
        fields = _CENTRAL.unpack_from(data, at)
        raw = data[at + _CENTRAL.size : at + _CENTRAL.size + fields[10]]
        entries.append((_zip_name(raw, fields[3]), tuple(fields[1:])))
        at += _CENTRAL.size + fields[10] + fields[11] + fields[12]
    account.charge(sum(fields[8] for _, fields in entries))
    if sum(fields[7] for _, fields in entries) > len(data):
        raise _broken("its entries overlap")
    for name, fields in entries:
        is_link = (fields[14] >> 16) & _FOLDER_BITS == _LINK
        if not name.endswith("/") and not is_link:
            yield Unpacked(name=safe_name(name), data=_zip_entry(data, name, fields, account))


def _zip_name(raw: bytes, flags: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8" if flags & _UTF8 else "cp437", "replace")


def _zip_entry(data: bytes, name: str, fields: tuple[int, ...], account: _Account) -> bytes:
    flags, method, check, packed, size = fields[2], fields[3], fields[6], fields[7], fields[8]
    offset = fields[15]
    if flags & _ENCRYPTED:
        raise _broken(f"{name[:80]!r} is protected by a password")
    if _OF_ZIP64 in (packed, size, offset) or data[offset : offset + 4] != b"PK\x03\x04":
        raise _broken(f"{name[:80]!r} is not where its directory says")
    if offset + _LOCAL.size > len(data):
        raise _broken("it ends too early")
    local = _LOCAL.unpack_from(data, offset)
    begin = offset + _LOCAL.size + local[9] + local[10]
    body = memoryview(data)[begin : begin + packed]
    if method == _DEFLATED:
        made = _inflated(body, _RAW_WINDOW, size, account)
    elif method == _STORED:
        made = bytes(body)
    else:
        raise _broken(f"{name[:80]!r} is compressed in a way not known here")
    if len(made) != size or zlib.crc32(made) != check:
        raise _broken(f"{name[:80]!r} is damaged")
    return made


# Tar.


def _untar(data: bytes, account: _Account) -> Iterator[Unpacked]:
    """Read block after block; nothing in a tar is larger than the tar, so only entries are charged."""
    at, long_name = 0, ""
    while at + _TAR_BLOCK <= len(data):
        header = data[at : at + _TAR_BLOCK]
        if not any(header):
            return
        account.enter()
        _check_sum(header)
        size, flag = _tar_number(header[124:136]), header[156:157]
        begin = at + _TAR_BLOCK
        if size > len(data) - begin:
            raise _broken("it ends too early")
        body = data[begin : begin + size]
        at = begin + -(-size // _TAR_BLOCK) * _TAR_BLOCK
        if flag == b"L":
            long_name = _tar_text(body)
        elif flag == b"x":
            long_name = _pax_path(body) or long_name
        elif flag in (b"0", b"\0", b"7"):
            name, long_name = long_name or _tar_name(header), ""
            if not name.endswith("/"):
                yield Unpacked(name=safe_name(name), data=body)
        elif flag != b"g":
            long_name = ""
    if at != len(data):
        raise _broken("it ends too early")


def _check_sum(header: bytes) -> None:
    """The sum over the header, its own place counted as spaces, tells a header from anything else."""
    if _tar_number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * 0x20:
        raise _broken("a header is damaged")


def _tar_number(field: bytes) -> int:
    """Read an octal number, or the binary form that large sizes have."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    text = field.split(b"\0")[0].strip()
    if not set(text) <= _OCTAL:
        raise _broken("a header is damaged")
    return int(text or b"0", 8)


def _tar_name(header: bytes) -> str:
    name = _tar_text(header[:100])
    prefix = _tar_text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _tar_text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("utf-8", "replace")


def _pax_path(body: bytes) -> str:
    """Return the path among `LENGTH key=value` records."""
    at = 0
    while at < len(body):
        space = body.find(b" ", at, at + 20)
        digits = body[at:space] if space > 0 else b""
        if not digits.isdigit() or int(digits) <= len(digits) + 1:
            raise _broken("a header is damaged")
        key, _, value = body[space + 1 : at + int(digits) - 1].partition(b"=")
        if key == b"path":
            return value.decode("utf-8", "replace")
        at += int(digits)
    return ""


# Names.


def safe_name(name: str) -> str:
    """Return a relative path without tricks; one that would leave its folder refuses the archive."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    bad = name.startswith(("/", "\\")) or ".." in parts or _DRIVE.match(name) or not parts
    if bad or len(name) > MAX_NAME or any(not sign.isprintable() for sign in name):
        raise _broken(f"the name {name[:80]!r} leaves its folder or is no name of a file")
    return "/".join(parts)

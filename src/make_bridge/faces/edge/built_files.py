"""The files of the built pages: scripts, styles and images, packed once and kept.

``wizard`` and ``demo`` mount a folder each. Text is packed with gzip at its first request, in a thread, and kept
packed: half a megabyte of script is a fourth of that on the way. Only files are packed, never an answer with a secret
in it: the size of packed text tells of what else is in it. The packed form has a tag of its own, since to caches it
is another text, and a part of a file is always a part of the plain one.
"""

import asyncio
import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

_TEXTS: Final = (".css", ".html", ".js", ".json", ".map", ".svg", ".txt")
# Their names hold a hash of what is in them.
_HASHED: Final = ("assets/", "wizard/assets/", "demo/assets/")
_LEAST_BYTES: Final = 1024
_MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_KEPT: Final = 16 * 1024 * 1024
_LEVEL: Final = 9
_ONE_RANGE: Final = re.compile(r"bytes=(?:(?P<start>[0-9]{1,18})-(?P<end>[0-9]{0,18})|-(?P<last>[0-9]{1,18}))")
_QUALITY: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packed:
    """The packed form of a file, and the tag of the plain form it was made of."""

    tag: str
    octets: bytes


class BuiltFiles(StaticFiles):
    """Static files; those with a hash in their name never change."""

    def __init__(self, directory: Path, *, most_kept: int = _MOST_KEPT) -> None:
        """The folder may be missing: then nothing is found. At most ``most_kept`` bytes are kept packed."""
        super().__init__(directory=directory, check_dir=False)
        self._packed: dict[str, _Packed] = {}
        self._packing = asyncio.Lock()
        self._most_kept = most_kept

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer a file, packed where the browser takes it, with the time it may be kept."""
        _keep_one_range(scope)
        request = Headers(scope=scope)
        response = await super().get_response(path, scope)
        if isinstance(response, FileResponse) and path.endswith(_TEXTS):
            response = await self._best(response, request)
        response.headers["cache-control"] = (
            "public, max-age=31536000, immutable" if path.startswith(_HASHED) else "no-cache"
        )
        if path.endswith(_TEXTS):
            response.headers["vary"] = "Accept-Encoding"
        return response

    async def _best(self, plain: FileResponse, request: Headers) -> Response:
        """Choose between the plain form and the packed one."""
        if "range" in request:
            _require_satisfiable(plain, request)
            return plain
        if not accepts_gzip(",".join(request.getlist("accept-encoding"))):
            return plain
        packed = await self._pack(plain)
        if packed is None:
            return plain
        headers = {
            "content-encoding": "gzip",
            "etag": plain.headers["etag"][:-1] + '-gzip"',
            "last-modified": plain.headers["last-modified"],
        }
        response = Response(packed, headers=headers, media_type=plain.media_type)
        return NotModifiedResponse(response.headers) if self.is_not_modified(response.headers, request) else response

    async def _pack(self, plain: FileResponse) -> bytes | None:
        """Return the packed form; None where there is too much or too little to pack."""
        name, tag = str(plain.path), plain.headers["etag"]
        if not _LEAST_BYTES <= int(plain.headers["content-length"]) <= _MOST_BYTES:
            return None
        async with self._packing:
            kept = self._packed.get(name)
            if kept is None or kept.tag != tag:
                octets = await asyncio.to_thread(_gzip, Path(name))
                kept = _Packed(tag=tag, octets=octets)
                self._packed.pop(name, None)
                if sum(len(other.octets) for other in self._packed.values()) + len(octets) > self._most_kept:
                    return None
                self._packed[name] = kept
        return kept.octets


def accepts_gzip(header: str) -> bool:
    """Say whether an ``Accept-Encoding`` lets us pack; without one nobody asked for it."""
    wishes: Mapping[str, bool] = {
        name.strip().lower(): _is_wanted(parameters)
        for name, _, parameters in (part.partition(";") for part in header.split(","))
    }
    return wishes.get("gzip", wishes.get("*", False))


def _is_wanted(parameters: str) -> bool:
    quality = _QUALITY.fullmatch(parameters.strip().lower())
    return not parameters.strip() or (quality is not None and float(quality[1]) > 0)


def _gzip(file: Path) -> bytes:
    return gzip.compress(file.read_bytes(), _LEVEL, mtime=0)


def _keep_one_range(scope: Scope) -> None:
    """Leave a wish for one part; one for many, or one that cannot be read, counts as none, as it may."""
    wishes = [value.decode("latin-1") for name, value in scope["headers"] if name == b"range"]
    found = _ONE_RANGE.fullmatch(wishes[0]) if len(wishes) == 1 else None
    if wishes and (found is None or (found["end"] and int(found["end"]) < int(found["start"]))):
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"range"]


def _require_satisfiable(plain: FileResponse, request: Headers) -> None:
    """Refuse a part that begins behind the end, in the one shape of refusals."""
    size = int(plain.headers["content-length"])
    found = _ONE_RANGE.fullmatch(request["range"])
    if found is None or "if-range" in request:
        return
    is_behind = int(found["start"]) >= size if found["start"] else int(found["last"]) == 0
    if is_behind:
        raise HTTPException(416, headers={"content-range": f"bytes */{size}"})

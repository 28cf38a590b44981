"""The app `archive`: pack, unpack, deflate and inflate.

What is packed carries no time, so that the same files give the same bytes in a second attempt. What is unpacked
stays within the limits of `archive_reading`.
"""

import gzip
import io
import tarfile
import zipfile
import zlib
from typing import Final

from make_bridge.engine.apps.aggregations import FEEDER
from make_bridge.engine.apps.archive_reading import MAX_ENTRIES, MAX_INPUT, MAX_TOTAL, inflate, safe_name, unpack
from make_bridge.engine.apps.fields import Field, choices
from make_bridge.engine.apps.module import Bundles, Collection, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.values import Value, to_buffer, to_text

_OLDEST: Final = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE: Final = 0o644 << 16
_LEVEL: Final = 6


def _unpack(call: ModuleCall) -> Bundles:
    settings = {**call.parameters, **call.input}
    kind = to_text(settings.get("type"))
    files = unpack(to_buffer(call.input["data"]), "" if kind == "auto" else kind)
    return [{"fileName": file.name, "data": file.data, "fileSize": len(file.data)} for file in files]


class ArchiveAggregation:
    """archive:CreateAggregator: the files of a loop in one archive."""

    def __init__(self, parameters: Collection) -> None:
        """Read the kind."""
        self.kind = to_text(parameters.get("type")) or "zip"
        self.name = to_text(parameters.get("archiveName"))
        if self.kind not in _EXTENSIONS:
            raise ModuleError(ErrorType.CONFIGURATION, f"Archives of the kind {self.kind[:20]!r} are not made here.")
        self.files: dict[str, bytes] = {}
        self.size = 0

    def add(self, item: Collection) -> None:
        """Take one file; a second one with the same name gets a number."""
        name = safe_name(to_text(item.get("fileName")))
        data = to_buffer(item.get("data"))
        self.size += len(data)
        if self.size > MAX_TOTAL or len(self.files) >= MAX_ENTRIES:
            message = f"An archive takes at most {MAX_ENTRIES} files and {MAX_TOTAL} bytes."
            raise ModuleError(ErrorType.FILE_SIZE, message)
        self.files[self._free(name)] = data

    def _free(self, name: str) -> str:
        stem, dot, extension = name.rpartition(".")
        if not stem or "/" in extension:
            stem, dot, extension = name, "", ""
        number = 1
        while name in self.files:
            number += 1
            name = f"{stem} ({number}){dot}{extension}"
        return name

    def result(self) -> Collection:
        """Return the archive."""
        data = _zipped(self.files) if self.kind == "zip" else _tarred(self.files)
        if self.kind == "tgz":
            data = gzip.compress(data, _LEVEL, mtime=0)
        extension = _EXTENSIONS[self.kind]
        name = self.name or "archive"
        name = name if name.endswith(extension) else name + extension
        return {"fileName": name, "data": data, "fileSize": len(data)}


_EXTENSIONS: Final = {"zip": ".zip", "tar": ".tar", "tgz": ".tar.gz"}


def _zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _OLDEST)
            entry.external_attr = _PLAIN_FILE
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED, _LEVEL)
    return made.getvalue()


def _tarred(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def _deflate(call: ModuleCall) -> Bundles:
    data, form = to_buffer(call.input["data"]), _form(call)
    if len(data) > MAX_INPUT:
        message = f"The data has {len(data)} bytes; at most {MAX_INPUT} are compressed."
        raise ModuleError(ErrorType.FILE_SIZE, message)
    match form:
        case "gzip":
            made = gzip.compress(data, _LEVEL, mtime=0)
        case "raw":
            packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
            made = packer.compress(data) + packer.flush()
        case "deflate" | "auto":
            made = zlib.compress(data, _LEVEL)
        case _:
            raise ModuleError(
                ErrorType.CONFIGURATION, f"The form {form[:20]!r} is not known; use deflate, raw or gzip."
            )
    return [{"data": made, "fileSize": len(made)}]


def _inflate(call: ModuleCall) -> Bundles:
    made: Value = inflate(to_buffer(call.input["data"]), _form(call))
    return [{"data": made, "fileSize": len(made) if isinstance(made, bytes) else 0}]


def _form(call: ModuleCall) -> str:
    return to_text(call.input.get("format")) or "auto"


_DATA: Final = Field(name="data", type="buffer", label="Data", required=True)
_SIZE: Final = Field(name="fileSize", type="uinteger", label="Size in bytes")
_FILE: Final = (
    Field(name="fileName", type="filename", label="File name"),
    Field(name="data", type="buffer", label="Data"),
    _SIZE,
)
_FORMS: Final = {"deflate": "Deflate (zlib)", "raw": "Deflate without header", "gzip": "Gzip"}

MODULES: Final = (
    ModuleSpec(
        name="archive:UnpackAction",
        label="Extract an archive",
        kind=Kind.ACTION,
        help="Unpacks zip, tar and gzip; one bundle per file.",
        parameters=(
            Field(
                name="type",
                type="select",
                label="Type of archive",
                default="auto",
                options=choices(auto="Recognize", zip="ZIP", tar="TAR", tgz="TAR.GZ", gzip="GZIP"),
            ),
        ),
        mapper=(_DATA,),
        output=_FILE,
        run=_unpack,
    ),
    ModuleSpec(
        name="archive:CreateAggregator",
        label="Create an archive",
        kind=Kind.AGGREGATOR,
        help="Packs the files of a loop into one archive.",
        parameters=(
            FEEDER,
            Field(
                name="type",
                type="select",
                label="Type of archive",
                default="zip",
                options=choices(zip="ZIP", tar="TAR", tgz="TAR.GZ"),
            ),
            Field(name="archiveName", type="filename", label="Name of the archive", default="archive"),
        ),
        mapper=(
            Field(name="fileName", type="filename", label="File name", required=True),
            Field(name="data", type="buffer", label="Data", required=True),
        ),
        output=_FILE,
        aggregate=ArchiveAggregation,
    ),
    ModuleSpec(
        name="archive:Deflate",
        label="Deflate",
        kind=Kind.ACTION,
        help="Compresses data.",
        mapper=(_DATA, Field(name="format", type="select", label="Form", default="deflate", options=choices(**_FORMS))),
        output=(Field(name="data", type="buffer", label="Data"), _SIZE),
        run=_deflate,
    ),
    ModuleSpec(
        name="archive:Inflate",
        label="Inflate",
        kind=Kind.ACTION,
        help="Decompresses data.",
        mapper=(
            _DATA,
            Field(
                name="format",
                type="select",
                label="Form",
                default="auto",
                options=choices(auto="Recognize", **_FORMS),
            ),
        ),
        output=(Field(name="data", type="buffer", label="Data"), _SIZE),
        run=_inflate,
    ),
)

"""Canaries: values that are secret and unmistakable, and the search for them in whatever leaves or stays.

A canary is found in clear, in hexadecimal, encoded for an address or for JSON, and in base64 wherever it stands in what
was encoded (three alignments, both alphabets). What PostgreSQL shows of bytes is read as bytes before it is searched.
"""

import base64
import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

# Shorter texts would be found by chance.
SHORTEST = 12
_BYTES = re.compile(rb"\\x((?:[0-9a-f]{2}){6,})")


def forms_of(value: bytes) -> Iterator[tuple[str, bytes]]:
    """Return the name and the bytes of each form in which a value could show."""
    assert len(value) >= SHORTEST, "a canary this short would be found by chance"
    yield "clear", value
    yield "hexadecimal", value.hex().encode()
    yield "hexadecimal in capitals", value.hex().upper().encode()
    yield "for an address", quote(value, safe="").encode()
    yield "for an address, small", quote(value, safe="").lower().encode()
    yield "for JSON", json.dumps(value.decode("latin-1"))[1:-1].encode()
    for before in range(3):
        # What shares its characters with what stands before and behind is left out.
        whole = base64.b64encode(b"\0" * before + value)
        begin = (before * 8 + 5) // 6
        end = (before + len(value)) * 8 // 6
        yield f"base64 behind {before}", whole[begin:end]
        yield f"base64 of addresses behind {before}", whole[begin:end].replace(b"+", b"-").replace(b"/", b"_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A canary where it must not be."""

    canary: str
    form: str
    place: str
    around: bytes

    def __str__(self) -> str:
        return f"{self.canary} ({self.form}) in {self.place}: …{self.around!r}…"


@dataclass(slots=True)
class Sweep:
    """The canaries, and what is searched for them.

    ``shown_by`` names, for canaries that the product shows by design, the places where it does: of the canaries how
    their names begin, of the places patterns of how theirs do.
    """

    shown_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kept: list[tuple[str, bytes]] = field(default_factory=list)
    _forms: dict[str, dict[bytes, str]] = field(default_factory=dict)

    @property
    def canaries(self) -> tuple[str, ...]:
        return tuple(self._forms)

    def add(self, name: str, value: str | bytes) -> None:
        """Look for this from now on."""
        raw = value.encode() if isinstance(value, str) else value
        assert name not in self._forms, f"there is a canary of the name {name}"
        found: dict[bytes, str] = {}
        for form, text in forms_of(raw):
            found.setdefault(text, form)
        self._forms[name] = found

    def look(self, place: str, content: bytes | str) -> None:
        """Keep what stands in a place, to be searched for all canaries there will be."""
        raw = content.encode(errors="replace") if isinstance(content, str) else content
        self.kept.append((place, raw))

    def look_at_rows(self, place: str, content: bytes) -> None:
        """The same for what PostgreSQL wrote as text, and for the bytes that it shows as hexadecimal."""
        self.look(place, content)
        self.look(f"{place}, its bytes", b"\n".join(bytes.fromhex(found.decode()) for found in _BYTES.findall(content)))

    def found(self, *places: str) -> list[str]:
        """Search where names begin so; somebody has to have looked there."""
        for begin in places:
            assert any(place.startswith(begin) for place, _ in self.kept), f"nobody has looked at {begin}"
        told = {hit for place, raw in self.kept if place.startswith(places) for hit in self._search(place, raw)}
        return sorted(str(hit) for hit in told)

    def found_below(self, folder: Path, *, besides: tuple[Path, ...]) -> list[str]:
        """Search every file below a folder; nothing of them is kept."""
        told: list[str] = []
        for path in sorted(folder.rglob("*")):
            # What serves goes on meanwhile: files of the database come and go.
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and path not in besides:
                    told += map(str, self._search(f"file {path.relative_to(folder)}", path.read_bytes()))
        return told

    def _search(self, place: str, raw: bytes) -> Iterator[Hit]:
        for name, forms in self._forms.items():
            if self._is_shown(name, place):
                continue
            for text, form in forms.items():
                at = raw.find(text)
                if at >= 0:
                    yield Hit(canary=name, form=form, place=place, around=raw[max(at - 60, 0) : at + len(text) + 20])

    def _is_shown(self, canary: str, place: str) -> bool:
        return any(
            canary.startswith(name) and any(re.match(pattern, place) for pattern in patterns)
            for name, patterns in self.shown_by.items()
        )

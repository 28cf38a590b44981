"""A page that a build made: one HTML file, read again when it was built anew.

The wizard and the demo serve one each. The file names its scripts by the hash of what is in them; a page read once at
start would, after a new build under the running server, ask for scripts that are gone. A look at the file's time costs
microseconds. While a build has taken the file away, the last one read stands in.
"""

from pathlib import Path
from typing import Final

_UNBUILT: Final = "The pages of this server are not built: run 'make web'."
_Version = tuple[int, int]


class BuiltPage:
    """One built page; ``text`` is what to answer with."""

    def __init__(self, file: Path) -> None:
        """The file may come later, or never."""
        self._file = file
        self._version: _Version | None = None
        self._text = _UNBUILT

    @property
    def text(self) -> str:
        """The page as it was built last."""
        try:
            facts = self._file.stat()
            version = (facts.st_mtime_ns, facts.st_size)
            if version != self._version:
                self._text = self._file.read_text(encoding="utf-8")
                self._version = version
        except FileNotFoundError:
            self._version = None
        return self._text

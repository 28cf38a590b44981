"""Standard output, and whatever else is an open file: whole lines, written past the buffers of Python.

A buffer would keep what could not be written and fail at some later, unrelated ``print``; and it would be lost when
the process is killed. What was written of a line before the place was full is ended by a line break, later.
"""

import os
from collections.abc import Sequence

from make_bridge.platform.observability.sinks.port import Taken


class StreamSink:
    """Writes to a descriptor that somebody else opened and closes."""

    def __init__(self, descriptor: int) -> None:
        """``descriptor`` may be a terminal, a pipe or a file."""
        self._descriptor = descriptor
        self._is_torn = False

    def write(self, lines: Sequence[bytes]) -> Taken:
        """Write lines until one does not go."""
        for done, line in enumerate(lines):
            try:
                self._write(line)
            except OSError as error:
                return Taken(left=lines[done:], reason=error.strerror or type(error).__name__)
        return Taken()

    def close(self) -> None:
        """Leave it open: it is not ours."""

    def _write(self, line: bytes) -> None:
        data = memoryview(b"\n" + line + b"\n" if self._is_torn else line + b"\n")
        while data:
            written = os.write(self._descriptor, data)
            data = data[written:]
            self._is_torn = bool(data)

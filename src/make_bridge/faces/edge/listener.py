"""Closing a listening socket so that nobody is let in and not heard.

The kernel makes connections by itself and keeps them until they are accepted; those that still wait when the socket is
closed are reset. A proxy has sent its request on such a one by then, and does not know what became of it. So before it
is closed, a socket lets the kernel drop every packet that asks for a *new* connection, while those that are being made
come in and are accepted. Whoever knocks meanwhile hears nothing, knocks again after a second, as TCP does, and is
refused: of that everybody knows what it means.

The program is one of the classic packet filter (socket(7), SO_ATTACH_FILTER), which is shown TCP's segment with its
header first (RFC 9293, 3.1: the flags are the 14th byte, SYN the second bit). Accepted connections inherit it, and
never see such a packet again. Where there is no such filter (systems other than Linux) the short window stays open.
"""

import ctypes
import socket
import struct
import sys
from contextlib import suppress
from typing import Final

_ATTACH_FILTER: Final = 26
_FLAGS, _SYN, _ALL = 13, 0x02, 0xFFFFFFFF
# Load the byte of the flags; with SYN go on to the next line, without skip it; drop; keep.
_DROPS_SYN: Final = b"".join(
    struct.pack("HBBI", *line)
    for line in ((0x30, 0, 0, _FLAGS), (0x45, 0, 1, _SYN), (0x06, 0, 0, 0), (0x06, 0, 0, _ALL))
)


def hear_no_newcomers(listener: socket.socket) -> None:
    """Have new connections to this socket neither made nor refused; those that are being made still come in."""
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(_DROPS_SYN, len(_DROPS_SYN))
    length = len(_DROPS_SYN) // struct.calcsize("HBBI")
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", length, ctypes.addressof(program)))

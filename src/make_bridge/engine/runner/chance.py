"""Keys and chance: everything of a run that looks random and must come out the same again.

Used by the runner's state. Step keys name one operation for journal and targets; random numbers and
UUIDs are hashes of the seed, the module, its operation and how many were drawn before.
"""

from hashlib import blake2b
from typing import Final

_MANTISSA: Final = 53
_HEX: Final = "0123456789abcdef"


def step_key(execution_id: str, module_id: int, operation: int) -> str:
    """Return the key of one operation: 32 hex digits."""
    return blake2b(f"{execution_id}:{module_id}:{operation}".encode(), digest_size=16).hexdigest()


class Chance:
    """The execution's own sequence of random numbers and UUIDs."""

    __slots__ = ("_drawn", "_seed")

    def __init__(self, seed: int) -> None:
        """The same seed and the same questions give the same answers."""
        self._seed = seed
        self._drawn = 0

    def _draw(self, module_id: int, operation: int, size: int) -> bytes:
        self._drawn += 1
        text = f"{self._seed}:{module_id}:{operation}:{self._drawn}"
        return blake2b(text.encode(), digest_size=size).digest()

    def random(self, module_id: int, operation: int) -> float:
        """Return a number from 0 up to but not 1."""
        return (int.from_bytes(self._draw(module_id, operation, 8)) >> (64 - _MANTISSA)) / (1 << _MANTISSA)

    def uuid(self, module_id: int, operation: int) -> str:
        """Return a UUID of version 4."""
        text = self._draw(module_id, operation, 16).hex()
        variant = _HEX[8 + int(text[16], 16) % 4]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"

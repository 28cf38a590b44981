"""The mutator used where Atheris is not installed: blind, but it knows the language's words.

One input is one to six changes of a seed: bytes flipped, put in, taken out or repeated, words put in, two seeds
spliced. The same number gives the same inputs, so a failure can be met again.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final, TypeAlias

_LONGEST: Final = 4_096
_MOST_CHANGES: Final = 6
_MOST_REPEATS: Final = 40

Change: TypeAlias = Callable[["Mutator", bytes], bytes]


class Mutator:
    """An endless source of inputs."""

    def __init__(self, seeds: Sequence[bytes], words: Sequence[bytes], number: int) -> None:
        self._seeds = seeds
        self._words = words
        self._chance = Random(number)  # noqa: S311 - no secret: the inputs must be the same again

    def inputs(self) -> Iterator[bytes]:
        """Yield the seeds themselves, in their order, then mutations without end."""
        yield from self._seeds
        while True:
            data = self._chance.choice(self._seeds)
            for _ in range(self._chance.randint(1, _MOST_CHANGES)):
                data = self._chance.choice(_CHANGES)(self, data)
            yield data[:_LONGEST]

    def _place(self, data: bytes) -> int:
        return self._chance.randint(0, len(data))

    def _span(self, data: bytes) -> tuple[int, int]:
        start, end = sorted((self._place(data), self._place(data)))
        return start, end

    def flip(self, data: bytes) -> bytes:
        if not data:
            return data
        place = self._chance.randrange(len(data))
        return data[:place] + bytes([data[place] ^ (1 << self._chance.randrange(8))]) + data[place + 1 :]

    def insert(self, data: bytes) -> bytes:
        place = self._place(data)
        return data[:place] + self._chance.randbytes(self._chance.randint(1, 4)) + data[place:]

    def insert_word(self, data: bytes) -> bytes:
        place = self._place(data)
        return data[:place] + self._chance.choice(self._words) + data[place:]

    def replace_by_word(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + self._chance.choice(self._words) + data[min(end, start + 8) :]

    def delete(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def repeat(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[start:end] * self._chance.randint(2, _MOST_REPEATS) + data[end:]

    def splice(self, data: bytes) -> bytes:
        other = self._chance.choice(self._seeds)
        return data[: self._place(data)] + other[self._place(other) :]


_CHANGES: Final[tuple[Change, ...]] = (
    Mutator.flip,
    Mutator.insert,
    Mutator.insert_word,
    Mutator.insert_word,
    Mutator.replace_by_word,
    Mutator.delete,
    Mutator.repeat,
    Mutator.splice,
)

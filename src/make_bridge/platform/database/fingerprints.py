"""The name of a statement: what slow statements and traces call it by, since neither shows what was asked for.

Statements are literals of ours, so there are few; ``make-bridge database slow`` shows the text behind a name.
"""

import hashlib
from functools import lru_cache
from typing import Final

_LENGTH: Final = 12
_OPERATIONS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "MERGE", "SET", "SAVEPOINT", "RELEASE"})


def one_line(statement: str) -> str:
    """Return a statement without the breaks and blanks it was laid out with."""
    return " ".join(statement.split())


def fingerprint_of(line: str) -> str:
    """Return the name of a statement in one line."""
    return hashlib.sha256(line.encode()).hexdigest()[:_LENGTH]


@lru_cache(maxsize=1024)
def described(statement: str) -> tuple[str, str]:
    """Return a statement's name, and the word it begins with."""
    line = one_line(statement)
    word = line.partition(" ")[0].upper()
    return fingerprint_of(line), word if word in _OPERATIONS else "SQL"

"""The numbers that bound the language, all in one place.

What a template may be is checked when it is compiled; what its evaluation may do is charged to a ``Budget`` before
it is done. The two budgets are the defaults of ``RunLimits`` and can differ from run to run; the others belong to
the language: a template that one server compiles is one for all.
"""

from typing import Final

# -- What one evaluation may do ---------------------------------------------------------------------------------------

STEPS: Final = 100_000
"""Operations. One is about what a look at one element of an array costs: a microsecond."""

OUTPUT: Final = 1_000_000
"""Bytes of new data, also of those that are gone again before the evaluation ends."""

SCAN_SHIFT: Final = 8
"""Reading 2**8 characters costs one operation."""

PATTERN_STEPS_PER_SECOND: Final = 500_000
"""A search that its own count does not explain is charged by the clock of the processor at this rate."""

PATTERN_SECONDS: Final = 0.2
"""Processor time after which one search is ended in the middle."""

EXPRESSION_FREE: Final = 512
"""Characters of a template's expressions whose operators are not charged."""

EXPRESSION_SHIFT: Final = 3
"""In longer ones 2**3 characters cost one operation."""

TEAM_FUNCTION: Final = 1000
"""Operations that a call of a team's own function counts as: so one mapper makes a hundred."""

# -- What a template may be -------------------------------------------------------------------------------------------

EXPRESSION: Final = 65_536
"""Characters of all expressions of one template; literal text does not count."""

BLUEPRINT: Final = 4 * EXPRESSION
"""Characters of all texts with expressions in one blueprint: compiling them takes about a second."""

NESTING: Final = 64
"""Brackets, calls and signs inside one another."""

HEIGHT: Final = 200
"""Levels of the tree: precedence adds some between two brackets, ``1 | 2 & (3 …``."""

MAPPED_NESTING: Final = 100
"""Collections and arrays inside one another in a mapper."""

ARGUMENTS: Final = 10_000
"""Arguments of one call of a function that takes any number."""

COMPILING_STEPS: Final = 5_000
"""Operations that compiling one template may spend on computing what is constant in it."""

COMPILING_OUTPUT: Final = 20_000
"""Bytes that the constants of one template may take."""

# -- What arguments may be --------------------------------------------------------------------------------------------

PATTERN: Final = 1024
"""Characters of a regular expression."""

PATTERN_MEMORY: Final = 1 << 20
"""Bytes a compiled regular expression may take."""

DATE_FORMAT: Final = 500
"""Characters of a format for dates."""

DATE_TEXT: Final = 500
"""Characters of a text read by a format for dates."""

DECIMALS: Final = 100
"""Digits after the decimal point."""

# -- What is remembered -----------------------------------------------------------------------------------------------

TEMPLATES_REMEMBERED: Final = 2048
"""Compiled templates kept for the next time, the latest used."""

TEMPLATE_REMEMBERED: Final = 1024
"""Characters of the longest template kept: longer ones are rare, and few would fill the memory."""

PATTERNS_REMEMBERED: Final = 64
"""Compiled regular expressions kept."""

"""What a function of the language is: its name, what its arguments must be, what it does, and how it is explained.

Each function is one ``Function`` in the table of its family. The compiler converts every argument as the
parameter says before calling ``run``, so that a wrong argument is named by function and number in one place and
the functions themselves work on proper Python values. A ``SpecialForm`` gets its arguments unevaluated.

The explanation is data as well: pages and error messages are made of ``signature``, ``summary`` and ``examples``,
and every example is a test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from make_bridge.engine.iml import limits
from make_bridge.engine.iml.compiled import Evaluator
from make_bridge.engine.iml.functions.parameters import Parameter
from make_bridge.engine.values import Value

Run: TypeAlias = Callable[..., Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An expression and its result, at 2026-03-31T10:20:30.400Z in UTC; ``given`` is what module 1 gave."""

    expression: str
    result: Value
    given: Value = None


def example(expression: str, result: Value, given: Value = None) -> Example:
    """Write an example in one line of a table."""
    return Example(expression=expression, result=result, given=given)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnNull:
    """What a function returns when its first argument is null or missing, instead of running."""

    value: Value
    also_for_empty_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function. ``run(scope, *arguments)``; arguments that were not given are left out.

    ``rest`` converts all arguments beyond ``parameters``. ``pure`` says that the result depends on nothing but
    the arguments, so that a call with constants is computed once. ``prepare`` gets the converted arguments after
    the first where these are constants, and may return what runs in place of ``run`` with the first alone.
    """

    name: str
    summary: str
    run: Run
    parameters: tuple[Parameter, ...]
    required: int
    examples: tuple[Example, ...]
    rest: Parameter | None = None
    on_null: OnNull | None = None
    pure: bool = True
    prepare: Callable[..., Run | None] | None = None

    @property
    def most(self) -> int:
        """The largest number of arguments."""
        return len(self.parameters) if self.rest is None else limits.ARGUMENTS

    @property
    def all_parameters(self) -> tuple[Parameter, ...]:
        """Each parameter once, the one for the rest last."""
        return self.parameters if self.rest is None else (*self.parameters, self.rest)

    @property
    def signature(self) -> str:
        """The call as it is written: ``substring(text; start; [end])``."""
        names = [
            parameter.name if place < self.required else f"[{parameter.name}]"
            for place, parameter in enumerate(self.all_parameters)
        ]
        return f"{self.name}({'; '.join(names)}{'; …' if self.rest is not None else ''})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialForm:
    """A function that decides which of its arguments are evaluated at all.

    ``fallible`` says that it can fail by itself, not only by its arguments, and so must be named in errors.
    """

    name: str
    summary: str
    signature: str
    build: Callable[[tuple[Evaluator, ...]], Evaluator]
    required: int
    examples: tuple[Example, ...]
    most: int = limits.ARGUMENTS
    fallible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Functions that belong together, as a page groups them."""

    name: str
    summary: str
    functions: tuple[Function | SpecialForm, ...]

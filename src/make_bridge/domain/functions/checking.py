"""Asking the parser about code: the engine that runs it reads it, in the sandbox, and runs nothing.

Faces call it before the command that stores the code, so no transaction waits for a process. Where the sandbox is
switched off, code cannot be checked and is not taken.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from make_bridge.domain.functions.messages import CheckedCode
from make_bridge.domain.functions.model import FunctionLimits, is_storable
from make_bridge.kernel.errors import BridgeError, InvalidInput
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.sandbox.aside import Aside
from make_bridge.platform.sandbox.sandbox import CallEnded, Sandbox

OFF: Final = "Custom functions are switched off on this server."
_TOO_HARD: Final = "The code is too hard to parse."


class CodeInvalid(InvalidInput):
    """The code is not one function declaration."""

    code = "function_invalid"


class FunctionsOff(InvalidInput):
    """Custom functions are switched off on this server."""

    code = "functions_off"


class CodeChecks(Protocol):
    """Tells of code what it declares."""

    async def check(self, organization_id: OrganizationId, code: str) -> CheckedCode:
        """Return what it declares; raises CodeInvalid, FunctionsOff and Unavailable."""
        ...


class NoChecks:
    """Custom functions are switched off."""

    async def check(self, organization_id: OrganizationId, code: str) -> CheckedCode:
        """Refuse."""
        del organization_id, code
        raise FunctionsOff


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxChecks:
    """``CodeChecks`` by the sandbox's own engine."""

    sandbox: Sandbox
    aside: Aside
    limits: FunctionLimits = field(default_factory=FunctionLimits)

    async def check(self, organization_id: OrganizationId, code: str) -> CheckedCode:
        """See the protocol."""
        if len(code) > self.limits.characters:
            raise _invalid(f"The code of a function has at most {self.limits.characters} characters.")
        if not is_storable(code):
            raise _invalid("The code holds control characters: write them as escapes, like \\u0000.")
        asked = {"task": "describe", "code": code}
        try:
            told = await self.aside.run(organization_id, partial(self.sandbox.ask, asked))
        except CallEnded:
            raise _invalid(_TOO_HARD) from None
        name, args = told.get("name"), told.get("args")
        if not isinstance(name, str) or not isinstance(args, str):
            raise _invalid(str(told.get("error", _TOO_HARD))[:1000])
        return CheckedCode(code=code, name=name, args=args)


def _invalid(message: str) -> BridgeError:
    return CodeInvalid(message, fields={"code": message})

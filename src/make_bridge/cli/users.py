"""``make-bridge user``: people who sign in to the console. Works beside servers, which follow within 5 seconds.

A password is asked for at the terminal, or read from a file or the standard input: an argument would stand in the list
of processes and in the shell's history.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from make_bridge.cli.operations import domain
from make_bridge.cli.options import Config, DataDir, Json, Organization
from make_bridge.cli.output import as_facts, as_json, as_table, command, say
from make_bridge.domain.users.messages import UserFacts
from make_bridge.domain.users.model import LONGEST_PASSWORD
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import OrganizationId

Email = Annotated[str, typer.Argument(help="The person's e-mail address.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="Read the password from a file; - is the standard input.")
]
_STANDARD_INPUT = Path("-")
# Four bytes a character, and the end of the line.
_LARGEST_FILE = 4 * LONGEST_PASSWORD + 2


@command
async def create_user(
    email: Email,
    *,
    organization: Organization,
    role: Annotated[str, typer.Option("--role", help="owner, admin, editor, operator or viewer.")],
    password_file: PasswordFile = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Make a person who may sign in, or give one who is known a role in an organization."""
    async with domain(data_dir, config) as opened:
        is_known = await opened.users.exists(email)
        password = None if is_known and password_file is None else _password(password_file)
        user_id = await opened.users.create(email, password, OrganizationId(organization), role)
    facts = {"userId": user_id, "organizationId": organization, "role": role, "isNew": not is_known}
    if as_json_:
        as_json(facts)
    else:
        as_facts(facts.items())


@command
async def list_users(
    *,
    organization: Annotated[int | None, typer.Option("--organization", help="Of this organization only.")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """List people with their roles."""
    async with domain(data_dir, config) as opened:
        found = await opened.users.list(None if organization is None else OrganizationId(organization))
    if as_json_:
        as_json([_facts(user) for user in found])
        return
    rows = [
        (user.email, user.organization_id, user.role.value, "disabled" if user.is_disabled else "", user.sessions)
        for user in found
    ]
    as_table(("e-mail", "organization", "role", "state", "sessions"), rows)


@command
async def disable_user(email: Email, *, data_dir: DataDir = None, config: Config = None) -> None:
    """Let a person in no more: signed out everywhere at once."""
    async with domain(data_dir, config) as opened:
        await opened.users.disable(email)
    say("Disabled.")


@command
async def enable_user(email: Email, *, data_dir: DataDir = None, config: Config = None) -> None:
    """Let a disabled person in again."""
    async with domain(data_dir, config) as opened:
        await opened.users.enable(email)
    say("Enabled.")


@command
async def set_password(
    email: Email, *, password_file: PasswordFile = None, data_dir: DataDir = None, config: Config = None
) -> None:
    """Give a person another password; their sessions end."""
    async with domain(data_dir, config) as opened:
        await opened.users.set_password(email, _password(password_file))
    say("Changed.")


@command
async def revoke_sessions(
    email: Email, *, data_dir: DataDir = None, config: Config = None, as_json_: Json = False
) -> None:
    """Sign a person out everywhere, within 5 seconds."""
    async with domain(data_dir, config) as opened:
        ended = await opened.users.end_sessions(email)
    if as_json_:
        as_json({"ended": ended})
    else:
        say(f"Signed out of {ended} session(s).")


def _password(file: Path | None) -> str:
    """Read a password: the whole file without the end of its line, or what is typed twice."""
    if file is None:
        if not sys.stdin.isatty():
            raise InvalidInput("There is no terminal to ask for a password: name a file with --password-file.")
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked
    try:
        if file == _STANDARD_INPUT:
            raw = sys.stdin.buffer.read(_LARGEST_FILE + 1)
        else:
            with file.open("rb") as opened:
                raw = opened.read(_LARGEST_FILE + 1)
        text = raw.decode()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} does not hold text.") from error
    return text.removesuffix("\n").removesuffix("\r")


def _facts(user: UserFacts) -> dict[str, object]:
    return {
        "userId": user.id,
        "email": user.email,
        "organizationId": user.organization_id,
        "role": user.role.value,
        "createdAt": user.created_at.isoformat(),
        "isDisabled": user.is_disabled,
        "sessions": user.sessions,
    }

"""The console's wiring: who signs in, what they may do with people, and the routes behind the gate of sessions."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from starlette.routing import BaseRoute

from make_bridge.domain.customers.directory import CustomerDirectory
from make_bridge.domain.organizations.keys import OrganizationReader
from make_bridge.domain.users.members import Welcoming
from make_bridge.domain.users.own_password import OwnPassword
from make_bridge.domain.users.sessions import Sessions
from make_bridge.domain.users.signing_in import SigningIn
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.console.gate import WayIn
from make_bridge.faces.console.place import ConsolePlace
from make_bridge.faces.console.signing import Signing
from make_bridge.faces.edge.teams import TeamChooser
from make_bridge.faces.edge.turnstile import Turnstile
from make_bridge.kernel.clock import Clock
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.security.passwords import Passwords
from make_bridge.services.console import PeopleActs, console_routes
from make_bridge.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleGround:
    """What it stands on; ``sessions`` are what this process remembers, ``api`` the Make API's own dependencies."""

    directory: Directory
    clock: Clock
    passwords: Passwords
    commands: CommandBus
    organizations: OrganizationReader
    customers: CustomerDirectory
    metrics: Metrics
    sessions: Sessions
    turnstile: Turnstile
    api: ApiDependencies
    settings: Settings


def wire_console(stack: AsyncExitStack, ground: ConsoleGround) -> list[BaseRoute]:
    """Return the console's routes; what is being recorded ends with the stack."""
    settings, sessions = ground.settings, ground.sessions
    place = ConsolePlace(origin=settings.origin, addresses=settings.edge().addresses)
    signing_in = SigningIn(
        directory=ground.directory,
        sessions=sessions,
        passwords=ground.passwords,
        clock=ground.clock,
        limits=settings.sign_in(),
        session_limits=settings.session_limits(),
        metrics=ground.metrics,
    )
    stack.push_async_callback(signing_in.close)
    signing = Signing(
        place=place,
        signing_in=signing_in,
        sessions=sessions,
        organizations=ground.organizations,
        commands=ground.commands,
        json_depth=settings.json_depth,
    )
    way_in = WayIn(
        place=place,
        sessions=sessions,
        teams=TeamChooser(ground.organizations, ground.customers),
        turnstile=ground.turnstile,
        witness=ground.api.witness,
    )
    return console_routes(way_in, signing, _acts_of(ground), ground.api, settings.pages)


def _acts_of(ground: ConsoleGround) -> PeopleActs:
    own_password = OwnPassword(
        directory=ground.directory,
        passwords=ground.passwords,
        commands=ground.commands,
        metrics=ground.metrics,
        limits=ground.settings.sign_in(),
    )
    return PeopleActs(
        own_password=own_password, welcoming=Welcoming(passwords=ground.passwords, commands=ground.commands)
    )

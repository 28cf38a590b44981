"""Checks of modules that lead elsewhere: routers, if-else with its merge, and the arms of handlers.

Called by `structure_checks`. What Make's own editor refuses, but what runs here, is a warning: files made by people
and models have it, and a file that is to go back to Make must not.
"""

from collections.abc import Iterator, Sequence

from make_bridge.engine.blueprint.findings import Finding, Sayer
from make_bridge.engine.blueprint.model import Branch, Module, Route
from make_bridge.engine.blueprint.settings import fallback_index

_MERGE = "builtin:BasicMerge"
_ROUTER = "builtin:BasicRouter"


def check_router(node: Module, after: Sequence[Module], say: Sayer) -> Iterator[Finding]:
    """Return what is wrong with a router in its place."""
    if not any(_active(route.flow) for route in node.routes):
        yield say.warning(".routes", "The router has no route with a module in it.", "Add a route, or remove it.")
    else:
        yield from _check_routes(node, say)
    if after:
        fix = "Move them into a route."
        yield say.warning("", "The modules after this router are never reached: a path ends at its router.", fix)
    if node.mapper is not None:
        yield say.warning(".mapper", "A router has no mapper; this one is ignored.", 'Write "mapper": null.')
    if node.onerror:
        fix = "Move it to the modules in the routes."
        yield say.warning(".onerror", "A router cannot have an error handler; this one is ignored.", fix)
    yield from _check_fallback(node, say)


def _check_routes(node: Module, say: Sayer) -> Iterator[Finding]:
    for route in node.routes:
        if route.misplaced_filter:
            at = f"{route.position.removeprefix(node.position)}.filter"
            fix = "Move it to the first module of the route."
            yield say.warning(at, "A route has no filter of its own; this one is ignored.", fix)
        if not route.flow and not route.disabled:
            at = f"{route.position.removeprefix(node.position)}.flow"
            yield say.warning(at, "The route has no modules; Make refuses it.", "Add a module, or remove the route.")


def _check_fallback(node: Module, say: Sayer) -> Iterator[Finding]:
    chosen, index = node.parameters.get("else"), fallback_index(node)
    if chosen in (None, ""):
        return
    at, last = ".parameters.else", len(node.routes) - 1
    fix = f"Write a number from 0 to {last}." if last > 0 else "Write 0, or leave it out."
    if index is None:
        yield say.warning(at, f"{chosen!r} is not the index of a route.", fix)
    elif not 0 <= index <= last:
        yield say.warning(at, f"There is no route {index} to fall back to; routes count from 0.", fix)
    else:
        others = [route for place, route in enumerate(node.routes) if place != index]
        if any(_open(route) for route in others):
            message = "The fallback never runs: another route has no filter and takes every bundle."
            yield say.warning(at, message, "Give the first module of each other route a filter.")


def _open(route: Route) -> bool:
    active = [] if route.disabled else _active(route.flow)
    return bool(active) and (active[0].filter is None or not active[0].filter.groups)


def check_branches(node: Module, after: Sequence[Module], say: Sayer) -> Iterator[Finding]:
    """Return what is wrong with an if-else and the merge that follows it."""
    merge = after[0] if after and after[0].module == _MERGE else None
    merging = [branch for branch in node.branches if branch.merge]
    if merging and merge is None:
        fix = f"Add a {_MERGE} directly after it."
        yield say.error("", "Branches that merge need a merge right after the if-else; they end here instead.", fix)
    elif after and merge is None:
        yield say.warning("", "The modules after this if-else are never reached.", f"Add a {_MERGE}.")
    if sum(branch.otherwise for branch in node.branches) > 1:
        fix = 'Make the others "type": "condition".'
        yield say.error(".branches", "An if-else has at most one else branch; only the first one counts.", fix)
    for branch in node.branches:
        if not branch.disabled:
            yield from _check_branch(node, branch, say)
    if merge is not None:
        yield from _check_merge(merge, merging)


def _check_branch(node: Module, branch: Branch, say: Sayer) -> Iterator[Finding]:
    at, active = branch.position.removeprefix(node.position), _active(branch.flow)
    if not branch.otherwise and not branch.condition.groups:
        yield say.warning(at, "A branch without conditions is never taken.", 'Use "type": "else" for the rest.')
    if not branch.flow:
        yield say.warning(
            f"{at}.flow", "A branch without modules is never taken.", "Add a module, or remove the branch."
        )
    if active and active[0].filter is not None and active[0].filter.groups:
        place = f"{at}{active[0].position.removeprefix(branch.position)}.filter"
        fix = "Put its conditions into the branch."
        yield say.warning(place, "A filter on the first module of a branch does not count.", fix)
    for inner in active:
        if inner.module == _ROUTER:
            place = f"{at}{inner.position.removeprefix(branch.position)}"
            message = "Make refuses a router in a branch" + ("; nothing behind it merges." if branch.merge else ".")
            yield say.warning(place, message, "Use another if-else, or a router in place of this one.")


def _check_merge(merge: Module, merging: Sequence[Branch]) -> Iterator[Finding]:
    say, wanted = Sayer(merge), len(merging)
    fix = f'Write {wanted}, one for each branch with "merge": true, in their order.'
    for output in merge.outputs:
        if len(output.mappings) != wanted:
            at = f"{output.position.removeprefix(merge.position)}.mappings"
            message = f"The output '{output.name}' has {len(output.mappings)} mappings for {wanted} merging branches."
            yield say.warning(at, message, fix)
    if merge.merge_filters and len(merge.merge_filters) != wanted:
        message = f"The merge has {len(merge.merge_filters)} filters for {wanted} merging branches."
        yield say.warning(".filters", message, fix.replace("branch", "branch (null for none)", 1))


def check_directive(label: str, after: Sequence[Module], say: Sayer) -> Iterator[Finding]:
    """Say that nothing follows a directive."""
    if after:
        message = f"The modules after {label} are never reached: it ends the error handler."
        yield say.warning("", message, "Move it to the end of the handler.")


def _active(flow: Sequence[Module]) -> list[Module]:
    return [node for node in flow if not node.skipped]

"""What a run does before its modules: check what the scenario was given, and look at the variables again.

Asked by `run`, once for the inputs and before every cycle for the variables.
"""

from make_bridge.engine.apps.module import ErrorType
from make_bridge.engine.blueprint.mapping import checked_collection, validation_failed
from make_bridge.engine.runner.result import Ending, RunError
from make_bridge.engine.runner.state import Ended, RunState


def check_inputs(run: RunState) -> None:
    """Give the inputs their types and defaults; a run whose inputs do not fit ends before its first operation.

    A stored bundle goes on with the inputs it had.
    """
    program = run.program
    if not program.inputs or run.request.resume is not None:
        return
    made, problems = checked_collection(dict(run.inputs), program.inputs, strict=False, zone=run.timezone)
    if problems:
        entry = program.entry
        place = (0, "") if entry is None else (entry.id, entry.module)
        message = "The scenario's inputs do not fit. " + validation_failed(problems).message
        raise Ended(Ending.FAILED, RunError(ErrorType.BUNDLE_VALIDATION, message, *place, 0))
    run.inputs = made


async def refresh_variables(run: RunState) -> None:
    """Read the organization's and the team's variables again, when the scenario wants them fresh."""
    source = run.ports.variables
    if source is not None and run.program.settings.fresh_variables:
        run.organization_variables, run.team_variables = await source.current()

"""One module run by the real engine behind a webhook: its bundles, its error, or what an aggregator makes."""

from typing import Any

from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.result import RunError, RunResult
from make_bridge.engine.runner.run import run
from support.blueprints import feeder, module, program, request, webhook

Json = dict[str, Any]


async def run_module(name: str, mapper: object, bundle: Json | None = None, **parameters: Any) -> RunResult:
    """Run the module as number 2, with `bundle` as the webhook's."""
    flow = module(2, name, mapper, parameters=parameters)
    return await run(program(webhook(), flow), request(bundle or {}), Ports())


async def outputs(name: str, mapper: object, bundle: Json | None = None, **parameters: Any) -> Any:
    """Return the module's bundles."""
    result = await run_module(name, mapper, bundle, **parameters)
    assert result.error is None, result.error
    return result.steps[1].outputs


async def error(name: str, mapper: object, bundle: Json | None = None, **parameters: Any) -> RunError:
    """Return the error the module ends with."""
    result = await run_module(name, mapper, bundle, **parameters)
    assert result.error is not None
    return result.error


async def collected(aggregator: str, mapper: object, items: list[Any], **parameters: Any) -> Any:
    """Return what an aggregator (number 3) makes of these items, one by one from an iterator (number 2)."""
    flow = (feeder(2, "{{1.items}}"), module(3, aggregator, mapper, parameters={"feeder": 2, **parameters}))
    result = await run(program(webhook(), *flow), request({"items": items}), Ports())
    assert result.error is None, result.error
    return result.steps[-1].outputs[0]


async def collecting_error(aggregator: str, mapper: object, items: list[Any], **parameters: Any) -> RunError:
    """Return the error the aggregator ends with."""
    flow = (feeder(2, "{{1.items}}"), module(3, aggregator, mapper, parameters={"feeder": 2, **parameters}))
    result = await run(program(webhook(), *flow), request({"items": items}), Ports())
    assert result.error is not None
    return result.error

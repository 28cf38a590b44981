"""What is kept of a run: its steps and its outcome as stored bytes.

Values of the scenario language are wider than JSON: dates become ISO text, buffers base64, half
surrogate pairs are replaced. The whole log of a run is bounded by the engine's limits before it
comes here. Of a confidential run are kept: how it ended, what kind of error in which module, and counts.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from make_bridge.domain.executions.trigger import TickNote
from make_bridge.engine.ports import WebhookResponse
from make_bridge.engine.runner.result import RunError, RunResult, Step
from make_bridge.kernel.errors import BridgeError


class StoredError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a run failed, in the shape of the API's execution detail."""

    name: str
    message: str
    module_id: int | None = None
    module: str | None = None


class StoredResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What the scenario answered to its webhook's caller."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class StoredDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything about an outcome that is not a column."""

    outputs: dict[str, Any] | None = None
    error: StoredError | None = None
    response: StoredResponse | None = None
    warnings: list[str] = []
    name: str | None = None
    tick: TickNote | None = None
    answer: str | None = None
    """Of a confidential run somebody may wait for: the full detail, sealed."""


def _plain(value: object) -> object:
    """Turn what msgspec does not know (the markers ignore and erase) into text."""
    return str(value)


NOT_KEPT: Final = "This message is not kept: the scenario is confidential."
_MOST_WARNINGS = 100
_detail_encoder = msgspec.json.Encoder(enc_hook=_plain)
_detail_decoder = msgspec.json.Decoder(StoredDetail)


def encode_detail(result: RunResult, tick: TickNote | None = None) -> bytes:
    """Return the stored form of a result; ``tick`` is what a schedule started it for."""
    detail = StoredDetail(
        outputs=result.outputs,
        error=_stored_error(result.error),
        response=_stored_response(result.response),
        warnings=[warning.message for warning in result.warnings[:_MOST_WARNINGS]],
        name=result.name,
        tick=tick,
    )
    return _encode(detail)


def encode_counts(result: RunResult, tick: TickNote | None = None) -> bytes:
    """Return the stored form of a confidential result: nothing that was said, only how often."""
    error = _stored_error(result.error)
    detail = StoredDetail(
        error=None if error is None else msgspec.structs.replace(error, message=NOT_KEPT),
        warnings=[NOT_KEPT] * min(len(result.warnings), _MOST_WARNINGS),
        tick=tick,
    )
    return _encode(detail)


def encode_failure(error: BridgeError, *, confidential: bool = False, name: str = "ScenarioValidationError") -> bytes:
    """Return the stored form of a run that could not even begin."""
    message = NOT_KEPT if confidential else error.message
    return _encode(StoredDetail(error=StoredError(name=name, message=message)))


def decode_detail(raw: bytes) -> StoredDetail:
    """Read the stored form back."""
    return _detail_decoder.decode(raw)


def encode_steps(steps: Sequence[Step]) -> bytes:
    """Return every step's input and output as stored."""
    return _encode(steps)


def encode_step_counts(steps: Sequence[Step]) -> bytes:
    """Return the steps of a confidential run as stored: the engine kept no bodies, here the errors lose their words."""
    return _encode([step if step.error is None else _wordless(step, step.error) for step in steps])


def _wordless(step: Step, error: RunError) -> Step:
    error = msgspec.structs.replace(error, message=NOT_KEPT, detail=None)
    return msgspec.structs.replace(step, input=None, outputs=[], error=error)


def decode_steps(raw: bytes | None) -> list[dict[str, object]]:
    """Read stored steps back, in the API's spelling."""
    return [_wire_step(step) for step in msgspec.json.decode(raw, type=list[dict[str, object]])] if raw else []


def with_warning(raw: bytes, message: str) -> bytes:
    """Return a stored detail with one more warning."""
    detail = decode_detail(raw)
    return _encode(msgspec.structs.replace(detail, warnings=[*detail.warnings, message]))


def with_answer(raw: bytes, sealed: str) -> bytes:
    """Return a stored detail with the full one sealed inside."""
    return _encode(msgspec.structs.replace(decode_detail(raw), answer=sealed))


def with_error(raw: bytes, name: str, message: str) -> bytes:
    """Return a stored detail that tells of an error met while settling; an error of the run itself stays."""
    detail = decode_detail(raw)
    error = detail.error or StoredError(name=name, message=message)
    return _encode(msgspec.structs.replace(detail, error=error, outputs=None))


def _wire_step(step: dict[str, object]) -> dict[str, object]:
    error = step.get("error")
    return {
        "moduleId": step["module_id"],
        "module": step["module"],
        "operation": step["operation"],
        "phase": step["phase"],
        "input": step.get("input"),
        "outputs": step.get("outputs") or [],
        "outputCount": step.get("output_count", 0),
        "error": {"name": error.get("type"), "message": error.get("message")} if isinstance(error, dict) else None,
        "durationMs": round(int(str(step.get("duration_us", 0))) / 1000, 3),
        "truncated": step.get("truncated", False),
    }


def _encode(value: object) -> bytes:
    try:
        return _detail_encoder.encode(value)
    except UnicodeEncodeError:
        return _detail_encoder.encode(_without_surrogates(msgspec.to_builtins(value, enc_hook=_plain)))


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_surrogates(item) for item in value]
    return value


def _stored_error(error: RunError | None) -> StoredError | None:
    if error is None:
        return None
    return StoredError(name=error.type, message=error.message, module_id=error.module_id, module=error.module)


def _stored_response(response: WebhookResponse | None) -> StoredResponse | None:
    if response is None:
        return None
    return StoredResponse(status=response.status, headers=list(response.headers), body=response.body)

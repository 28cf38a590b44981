"""The circuit breakers of a team that are not closed (``/circuit-breakers``): which hosts are not called now, and why.

Ours, Make has no such resource. Each process keeps its own breakers, so the answer is that of the process asked.
"""

from dataclasses import dataclass

from starlette.responses import Response

from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, required_team, respond
from make_bridge.faces.api_v2.parameters import THE_TEAM
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.platform.egress.circuits import OpenCircuit


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerRoutes:
    """The route of ``/circuit-breakers``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read = access("scenarios:read", self.api.bodies.api)
        return [
            Operation(
                method="GET",
                path="/circuit-breakers",
                endpoint=self.list_circuit_breakers,
                access=read,
                query=(THE_TEAM,),
            ),
        ]

    async def list_circuit_breakers(self, call: CurrentCall) -> Response:
        """List the hosts that the team's scenarios do not call now, the longest paused first."""
        found = self.api.circuits.open_of(required_team(call))
        return respond({"circuitBreakers": [_row(circuit) for circuit in found]})


def _row(circuit: OpenCircuit) -> JsonObject:
    return {
        "host": circuit.host,
        "components": [int(number) for number in circuit.credential.split("+") if number],
        "state": circuit.state.value,
        "since": wire.instant(circuit.since),
        "until": wire.instant(circuit.until),
        "reason": circuit.reason,
    }

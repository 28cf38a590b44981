"""The checks: every node that is known is asked again and again whether it is ready."""

import asyncio
from types import TracebackType
from typing import Self

from make_bridge.platform.upstreams.client import UpstreamClient
from make_bridge.platform.upstreams.nodes import Node, Nodes


class Checking:
    """Asks all nodes at once, every few moments; an async context manager."""

    def __init__(self, nodes: Nodes, client: UpstreamClient, *, seconds: float) -> None:
        """``seconds`` lie between two rounds."""
        self._nodes = nodes
        self._client = client
        self._seconds = seconds
        self._asking: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Ask every node once."""
        await asyncio.gather(*(self._ask(node) for node in self._nodes.all()))

    async def __aenter__(self) -> Self:
        """Begin with a first round: what is served next should know where to go."""
        await self.look()
        self._asking = asyncio.create_task(self._keep_asking(), name="checks of nodes")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self, node: Node) -> None:
        self._nodes.checked(node, is_ready=await self._client.is_ready(node.address))

    async def _keep_asking(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await self.look()

"""Learning what the calls of a webhook look like, while its hook is told to: asked by the ingest, and by nobody else.

The hook's remembered target says whether it learns, so a call of any other costs nothing. Of a hook that learns one
call at a time is drawn in this process, and calls that come meanwhile are not: a flood makes no queue at its row. After
enough calls learning ends by itself. What is not learned is not missed: a call is taken all the same.
"""

from collections.abc import Mapping

import structlog

from make_bridge.domain.executions.targets import Target
from make_bridge.domain.scenarios import hook_store
from make_bridge.domain.scenarios.learning import LearningLimits
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import HookId
from make_bridge.platform.database.shards import Shards

_log = structlog.get_logger(__name__)


class Learner:
    """See the module."""

    def __init__(self, shards: Shards, limits: LearningLimits) -> None:
        """``limits`` say when a hook has learned enough."""
        self._shards = shards
        self._limits = limits
        self._drawing: set[HookId] = set()

    async def draw(self, target: Target, bundle: Mapping[str, Value]) -> None:
        """Add what a call holds to what its hook has learned."""
        hook_id = target.hook_id
        if hook_id in self._drawing:
            return
        self._drawing.add(hook_id)
        try:
            shard = await self._shards.of(target.organization_id)
            async with shard.write(target.organization_id) as tx:
                await hook_store.learn(tx, target.organization_id, hook_id, bundle, self._limits)
        except Unavailable as error:
            _log.warning("hook_not_learned", hook_id=hook_id, error=error.message)
        finally:
            self._drawing.discard(hook_id)

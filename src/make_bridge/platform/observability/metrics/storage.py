"""What the tables take and what was removed of them; shown by the process that takes care of a shard."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from make_bridge.platform.observability.metrics.declaring import SHARD, Declarations, Label, children

_KIND: Final = Label("kind", bounded_by="the kinds of rows that `make-bridge storage` lists")
_WHY: Final = Label("why", ("by_age", "by_size", "bodies_by_size"))


class StorageGauges:
    """Kinds are a closed set of ours (``domain/storage/model.KINDS``)."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self._bytes = declare.gauge(
            "storage_bytes", "Bytes of the tables with their indexes, by kind of rows.", _KIND, SHARD, unit="bytes"
        )
        self._oldest = declare.gauge(
            "storage_oldest_seconds", "Age of the oldest row, of kinds that are kept by time.", _KIND, SHARD
        )
        removed = declare.counter(
            "storage_runs_removed_total",
            "Runs removed in batches, because of their age or because of their organization's size.",
            _WHY,
        )
        self.removed = children(removed, _WHY)
        self.partitions_dropped = declare.counter(
            "storage_partitions_dropped_total", "Partitions dropped because nobody keeps their day any more."
        )
        self._shown: dict[int, set[str]] = {}

    def show(self, shard: int, sizes: Mapping[str, int], ages: Mapping[str, float]) -> None:
        """Show what a shard holds; a kind without rows has no age."""
        self.forget(shard)
        for kind, size in sizes.items():
            self._bytes.labels(kind, str(shard)).set(size)
        for kind, age in ages.items():
            self._oldest.labels(kind, str(shard)).set(age)
        self._shown[shard] = {*sizes, *ages}

    def forget(self, shard: int) -> None:
        """Show a shard no more: another process does."""
        for kind in self._shown.pop(shard, set()):
            for gauge in (self._bytes, self._oldest):
                with suppress(KeyError):
                    gauge.remove(kind, str(shard))

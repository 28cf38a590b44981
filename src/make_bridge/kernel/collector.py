"""The garbage collector of a process that serves: asked for by `serve`, and by benchmarks that stand for a server."""

import gc

_YOUNG = 50_000
_MIDDLE = 20
_OLD = 50


def calm_collector() -> None:
    """Leave what was loaded out of every later collection, and collect less often: cycles are rare here."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)

"""One call out in a process of its own, and what it cost: `python eater.py URL MOST_BYTES`.

Told by `test_targets_bodies.py`, which reads one line of JSON from it. The peak of the memory is the kernel's own, set
back just before the call, so that what loading the program took does not hide what the call took.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest

PATIENCE = 15.0


def peak_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def eat(url: str, most: int) -> dict[str, object]:
    policy = EgressPolicy.parse(["127.0.0.1"])
    async with EgressClient(EgressConfig(policy=policy)) as client:
        forget_peak()
        before, began = peak_kb(), time.monotonic()
        try:
            answer = await client.send(EgressRequest(url=url, timeout=PATIENCE, max_response_bytes=most))
            told = {"ended": "answered", "size": len(answer.body)}
        except EgressFailure as failure:
            told = {"ended": failure.kind, "size": 0}
        return told | {"seconds": time.monotonic() - began, "growth_kb": peak_kb() - before}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(eat(sys.argv[1], int(sys.argv[2])))))

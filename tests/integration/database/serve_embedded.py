"""A supervisor to be killed: opens the embedded database of a directory and tells what happens, a line of JSON each.

Run by test_embedded.py as ``python serve_embedded.py DATA_DIR``; ends cleanly when its standard input does.
"""

import asyncio
import json
import sys
from pathlib import Path

from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.database.embedded import EmbeddedConfig, EmbeddedEvent, EmbeddedPostgres


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def tell(event: EmbeddedEvent) -> None:
    say(happening=event.happening, detail=event.detail, seconds=event.seconds)


async def main() -> None:
    try:
        async with EmbeddedPostgres(EmbeddedConfig(data_dir=Path(sys.argv[1])), tell) as facts:
            say(happening="accepting", dsn=facts.admin_dsn)
            await asyncio.to_thread(sys.stdin.read)
    except BridgeError as error:
        say(happening="refused", code=error.reason, message=error.message)


if __name__ == "__main__":
    asyncio.run(main())

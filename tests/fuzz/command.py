"""The command: one target, so many seconds; Atheris where it is installed, else the mutator of this folder.

An input that breaks the target is written to `fuzz-NAME-HASH.input` in the folder the command was started in, and
`--input FILE` plays it again.
"""

import argparse
import hashlib
import importlib
import importlib.util
import sys
import tempfile
import time
import traceback
from pathlib import Path

from fuzz.mutation import Mutator
from fuzz.seeds import WORDS, seeds_of
from fuzz.targets import TARGETS, Target


def run_mutations(name: str, target: Target, *, seconds: float, number: int) -> int:
    """Feed the target until the time is over or it breaks; return the number of inputs, or -1."""
    ends = time.monotonic() + seconds
    for count, data in enumerate(Mutator(seeds_of(name), WORDS, number).inputs()):
        if time.monotonic() > ends:
            return count
        try:
            target(data)
        except Exception:  # noqa: BLE001 - whatever it is, the input is what matters
            kept = Path(f"fuzz-{name}-{hashlib.sha256(data).hexdigest()[:12]}.input")
            kept.write_bytes(data)
            traceback.print_exc()
            sys.stderr.write(f"The input is kept in {kept}.\n")
            return -1
    return 0


def run_atheris(name: str, target: Target, seconds: float) -> None:
    """Hand the target to Atheris, which guides itself by the code it reaches; it never returns."""
    atheris = importlib.import_module("atheris")
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for number, data in enumerate(seeds_of(name)):
        (folder / f"seed-{number}").write_bytes(data)
    words = folder.with_suffix(".words")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in WORDS))
    atheris.Setup([sys.argv[0], f"-max_total_time={int(seconds)}", f"-dict={words}", str(folder)], target)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Feed a target with unheard-of inputs.")
    parser.add_argument("name", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--number", type=int, default=1, help="the same number gives the same inputs")
    parser.add_argument("--input", type=Path, help="play one input again")
    chosen = parser.parse_args()
    target = TARGETS[chosen.name]
    if chosen.input is not None:
        target(chosen.input.read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is not None:
        run_atheris(chosen.name, target, chosen.seconds)
    count = run_mutations(chosen.name, target, seconds=chosen.seconds, number=chosen.number)
    if count >= 0:
        sys.stdout.write(f"{chosen.name}: {count} inputs, no fault.\n")
    return 0 if count >= 0 else 1


if __name__ == "__main__":
    sys.exit(main())

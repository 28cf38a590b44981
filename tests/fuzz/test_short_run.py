"""Fuzzing in its short form: the seeds and two hundred inputs for each target; a planted fault is found."""

import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from fuzz.command import run_mutations
from fuzz.mutation import Mutator
from fuzz.seeds import WORDS, seeds_of
from fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
INPUTS = 200


@pytest.mark.attack("F16")
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_target_stands_its_seeds_and_two_hundred_mutations(name: str) -> None:
    seeds = seeds_of(name)
    for data in islice(Mutator(seeds, WORDS, number=7).inputs(), len(seeds) + INPUTS):
        TARGETS[name](data)


def test_the_same_number_gives_the_same_inputs() -> None:
    def some(number: int) -> list[bytes]:
        seeds = seeds_of("parser")
        return list(islice(Mutator(seeds, WORDS, number).inputs(), len(seeds), len(seeds) + 50))

    assert some(1) == some(1)
    assert some(1) != some(2)


def test_a_planted_fault_is_found_and_its_input_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def breaks_on_repetition(data: bytes) -> None:
        if data.count(b"{{") > 3:
            raise ZeroDivisionError

    monkeypatch.chdir(tmp_path)
    assert run_mutations("parser", breaks_on_repetition, seconds=30, number=1) == -1
    (kept,) = tmp_path.glob("fuzz-parser-*.input")
    assert kept.read_bytes().count(b"{{") > 3
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_the_command_runs_a_target_for_its_time() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "lexer", "--seconds", "0.2"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "inputs, no fault" in done.stdout

"""The Dockerfile as it is written: rules that need no build. `test_image.py` carries it out."""

import json
import re
from pathlib import Path

import pytest

from support.dockerfile import Ignored, read_stages, seen_by_a_build

ROOT = Path(__file__).resolve().parents[2]
SECRET = re.compile(r"pass|secret|token|credential|private|api_?key", re.IGNORECASE)
# By its content, or by a day: Debian's tags with a date are made once.
PINNED = re.compile(r".+@sha256:[0-9a-f]{64}|debian:[a-z]+-20[0-9]{6}-slim")


@pytest.fixture(scope="module")
def stages():
    return read_stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def final(stages):
    return stages[-1]


def test_every_base_is_pinned_and_the_image_begins_from_nothing(stages, final):
    own = {stage.name for stage in stages}
    outside = {stage.base for stage in stages} - own - {"scratch"}
    assert [base for base in outside if not PINNED.fullmatch(base)] == []
    assert final.base == "scratch"


def test_the_user_is_a_number_and_not_root(final):
    (user,) = final.of("USER")
    assert re.fullmatch(r"[1-9][0-9]{3,}:[1-9][0-9]{3,}", user.value)


def test_it_starts_without_a_shell_and_asks_itself_for_its_health(final):
    (entry,), (command,), (health,) = final.of("ENTRYPOINT"), final.of("CMD"), final.of("HEALTHCHECK")
    assert entry.exec_form() == ["/opt/make-bridge/bin/make-bridge"]
    assert command.exec_form() == ["serve"]
    assert json.loads(health.value.removeprefix("CMD")) == ["/opt/make-bridge/bin/make-bridge", "health"]
    assert {flag for flag, _ in health.flags} == {"interval", "timeout", "start-period", "retries"}
    assert [instruction.value for instruction in final.of("STOPSIGNAL")] == ["SIGTERM"]
    assert final.of("RUN") == []


def test_nothing_is_fetched_by_address(stages):
    instructions = [instruction for stage in stages for instruction in stage.instructions]
    assert [instruction.line for instruction in instructions if instruction.word == "ADD"] == []
    assert [instruction.line for instruction in instructions if "://" in instruction.value] == []
    assert [i.line for i in instructions if re.search(r"\b(curl|wget|git clone)\b", i.value)] == []


def test_no_secret_is_an_argument_or_a_variable(stages):
    named = [
        name
        for stage in stages
        for instruction in stage.instructions
        if instruction.word in {"ARG", "ENV"}
        for name in instruction.pairs()
    ]
    assert [name for name in named if SECRET.search(name) or name.endswith("_KEY")] == []


@pytest.mark.attack("J08")
def test_every_installation_is_by_hash_and_runs_no_script_of_a_package(stages):
    runs = [" ".join(run.value.split()) for stage in stages for run in stage.of("RUN")]
    commands = [command.strip() for run in runs for command in run.split("&&")]
    pip = [command for command in commands if re.search(r"\bpip\b.* install\b", command)]
    assert len(pip) == 4
    for command in pip:
        by_hash = "--require-hashes" in command and "--only-binary=:all:" in command
        assert by_hash or ("--no-index" in command and "--no-deps" in command), command
    npm = [command for command in commands if command.startswith("npm ") and command != "npm run build"]
    assert npm == ["npm ci --ignore-scripts --no-audit --no-fund --no-progress"]


def test_what_reaches_a_build_is_what_it_needs():
    seen = seen_by_a_build(ROOT)
    tops = {path.split("/")[0] for path in seen}
    assert tops == {"LICENSE", "README.md", "deploy", "pyproject.toml", "requirements", "src", "web"}
    assert [path for path in seen if path.startswith("deploy/")] == ["deploy/image/assemble.py"]
    assert [path for path in seen if re.search(r"(^|/)(\.env|\.git|data|node_modules|dist|tests)(/|$)", path)] == []


@pytest.mark.parametrize(
    "path",
    [".git/config", ".env", "web/.env", "data/root.key", "src/root.key", "web/key.pem", "deploy/compose/secrets/x"],
)
def test_keys_and_history_never_reach_a_build(path):
    assert path in Ignored.read(ROOT / ".dockerignore")


def test_bash_and_a_moving_base_would_be_found():
    stages = read_stages(
        "ARG BASE=debian:bookworm\nFROM ${BASE} AS one\nRUN a \\\n  && b\nFROM scratch\nCMD serve now\n"
    )
    assert [stage.base for stage in stages] == ["debian:bookworm", "scratch"]
    assert not PINNED.fullmatch(stages[0].base)
    with pytest.raises(ValueError, match="Expecting value"):
        stages[1].of("CMD")[0].exec_form()

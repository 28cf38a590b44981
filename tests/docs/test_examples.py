"""What the pages have their readers do is done here, in their order, before a served product; the rest is read.

`tests/support/examples.py` says how a block is marked. A command that stands on a page without being run is at least
one that exists, with options that it has.
"""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from make_bridge.cli.application import COMMANDS
from make_bridge.cli.commands_page import leaves
from make_bridge.settings import PREFIX, Settings
from support.examples import blocks_of, fits, printed, replaced, script_of
from support.integrator import Wizard, new_organization
from support.network import free_port, send
from support.server import Installation, ServerProcess, installed

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
WRITTEN = [page for page in PAGES if page.parent.name != "reference"]
RUN_SECONDS = 300
# A reader's own blueprint, and what its webhook is sent.
DESK = ROOT / "src" / "make_bridge" / "services" / "demo_templates" / "order_desk.json"
ORDER = '{"id": "a-17", "customer": {"name": "Sam"}, "items": [{"title": "Lamp", "quantity": 2, "price": 10}]}'
# Settings and commands of programs beside ours.
OTHERS = {f"{PREFIX}TEST_MUTANTS", f"{PREFIX}TEST_IMAGE", f"{PREFIX}WRITE_PAGES", f"{PREFIX}CONFIG"}

pytestmark = pytest.mark.timeout(500)


def name_of(page):
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("examples")
    with installed("embedded", folder, None, MODE="demo") as installation:
        yield installation


@pytest.fixture(scope="module")
def demo(installation: Installation) -> ServerProcess:
    return installation.server().start()


@pytest.fixture(scope="module")
def given(installation: Installation, demo: ServerProcess) -> dict[str, str]:
    """What stands on pages for something of the reader's own, with what it is here."""
    integrator = new_organization(installation, demo.url, origin="https://app.example.com")
    made = installation.ask("template", "import", DESK, "--organization", str(integrator.organization_id))
    hook = _hook(integrator)
    return {
        "8080": str(demo.port),
        "3000": str(free_port()),
        "https://bridge.example.com": demo.url,
        "1024": str(integrator.organization_id),
        "hooks/" + str(integrator.organization_id): f"hooks/{hook}",
        "ID": str(integrator.organization_id),
        "TEMPLATE": str(made["templateId"]),
        "whsec_…": "whsec_" + 32 * "a",
        "$TOKEN": integrator.api_token,
        "$URL": demo.url,
        "$TEAM": str(integrator.team_id),
        "$ORGANIZATION": str(integrator.organization_id),
    }


def _hook(integrator):
    body = {"teamId": integrator.team_id, "name": "Orders", "typeName": "gateway-webhook"}
    headers = {"Authorization": f"Token {integrator.api_token}"}
    return send("POST", f"{integrator.url}/api/v2/hooks", headers=headers, json_body=body).json()["hook"]["id"]


@pytest.fixture
def desk(demo: ServerProcess) -> Iterator[None]:
    """What the reader of the first tutorial has done in the browser: test_demo.py does it there too."""
    integrations = f"{demo.url}/proxy/api/bridge/integrations"
    cards = send("GET", f"{integrations}/").json()["integrations"]
    card = next(card for card in cards if card["scenario"]["name"] == "Order desk")
    init = f"{integrations}/init/{card['template']['instanceableId']}"
    begun = send("POST", init, json_body={"scenario": {"name": "Order desk", "enable": True}}).json()
    done = Wizard.at(begun["publicUrl"]).walk({})
    yield
    assert send("DELETE", f"{integrations}/{done['scenario']['id']}").status == 200


def run(page, folder, installation, instead):
    """Carry out a page's blocks in a folder that looks like the reader's; return what each printed."""
    blocks = blocks_of(page)
    (folder / "data").symlink_to(installation.data_dir)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    script = folder / ".page.sh"
    script.write_text(script_of(blocks, instead), encoding="utf-8")
    done = subprocess.run(
        ["bash", script.name],
        cwd=folder,
        env=installation.process_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        timeout=RUN_SECONDS,
    )
    outputs = printed(done.stdout)
    assert done.returncode == 0, f"{name_of(page)}, after the block of line {max(outputs)}:\n{done.stdout[-4000:]}"
    return blocks, outputs


def has_marks(page):
    return any(block.mark == "run" for block in blocks_of(page))


RUNNABLE = [page for page in PAGES if has_marks(page)]


@pytest.mark.parametrize("page", RUNNABLE, ids=map(name_of, RUNNABLE))
def test_what_the_page_has_its_reader_do_works_and_prints_what_it_says(
    page, installation, demo, given, tmp_path, request
):
    if page.name == "first-automation.md":
        request.getfixturevalue("desk")
    # Pages that make an organization of their own name it by themselves.
    names = given if page.parent.name == "how-to" or page.name == "README.md" else dict(list(given.items())[:3])
    (tmp_path / "my-blueprint.json").write_text(DESK.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "order.json").write_text(ORDER, encoding="utf-8")
    blocks, outputs = run(page, tmp_path, installation, names)
    before = 0
    for block in blocks:
        if block.mark == "prints":
            told = replaced(block.text, names)
            assert fits(told, outputs[before]), f"line {block.line}: printed was\n{outputs[before]}"
        elif block.mark == "run":
            before = block.line


def test_every_tutorial_is_carried_out():
    tutorials = {page for page in PAGES if page.parent.name == "tutorials" and page.stem != "index"}
    assert tutorials <= set(RUNNABLE)
    assert len(tutorials) >= 3


@pytest.mark.parametrize("page", WRITTEN, ids=map(name_of, WRITTEN))
def test_examples_on_a_page_can_be_read(page):
    for block in blocks_of(page):
        match block.language:
            case "json" if "…" not in block.text:
                json.loads(block.text)
            case "python":
                ast.parse(block.text)
            case "sh":
                checked = subprocess.run(
                    ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False, timeout=10
                )
                assert checked.returncode == 0, f"line {block.line}: {checked.stderr}"


def commands_on(page):
    """Give every `make-bridge …` of a page with its words: of fenced blocks, and of code in a sentence."""
    text = page.read_text(encoding="utf-8")
    fenced = [
        line for block in blocks_of(page) for line in re.split(r"\n|\|\||&&|;|\$\(", block.text.replace("\\\n", " "))
    ]
    for line in [*fenced, *re.findall(r"`(make-bridge [^`]*)`", text.replace("\n", " "))]:
        if found := re.match(r"\s*(?:[A-Z_]+=\S+ )*make-bridge ([a-z].*)", line):
            yield found[1].partition("#")[0].split()


def test_every_command_on_a_page_is_one_there_is_with_options_it_has():
    known = {tuple(name.split()): command for name, command in leaves(COMMANDS)}
    wrong = []
    for page in WRITTEN:
        for words in commands_on(page):
            plain = [re.split(r"[|,/]", word)[0].rstrip(".,:;)") for word in words]
            found = next((tuple(plain[:n]) for n in (3, 2, 1) if tuple(plain[:n]) in known), None)
            if found is None:
                families = {name[: len(plain)] for name in known}
                wrong += [] if tuple(plain) in families else [(name_of(page), " ".join(words))]
                continue
            options = {
                name for each in known[found].load(found[-1]).params for name in (*each.opts, *each.secondary_opts)
            }
            given = {
                re.split(r"[=\])]", word.strip("[]()"))[0].rstrip(".,:;")
                for word in words
                if word.startswith(("--", "[--"))
            }
            wrong += [(name_of(page), f"{' '.join(words)}: {option}") for option in given - options - {"--help"}]
    assert wrong == []


def test_every_setting_on_a_page_is_one_there_is():
    known = {PREFIX + name.upper() for name in Settings.model_fields} | OTHERS
    told = {
        (name_of(page), name) for page in WRITTEN for name in re.findall(rf"{PREFIX}[A-Z_]+[A-Z]", page.read_text())
    }
    assert {each for each in told if each[1] not in known} == set()


def test_every_make_target_on_a_page_is_one_there_is():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = {
        (name_of(page), name)
        for page in WRITTEN
        for name in re.findall(r"`(?:[A-Z]+=\S+ )?make ([a-z-]+)", page.read_text())
    }
    assert {each for each in told if each[1] not in targets} == set()


@pytest.mark.parametrize(
    ("expected", "output", "answer"),
    [
        ("a …\n…\nz", "a 1\nb\nc\nz\n", True),
        ("a", "a\nb\n", False),
        ("a\n…", "a\n", True),
        ("a (1)", "a (1)\n", True),
        ("a.b", "axb\n", False),
    ],
    ids=["anything", "more", "none", "signs", "no pattern"],
)
def test_an_output_is_compared_to_the_letter_but_for_dots(expected, output, answer):
    assert fits(expected, output) is answer

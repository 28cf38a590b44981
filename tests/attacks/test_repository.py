"""What the repository must not hold (row J09): people's data, and credentials that open something."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{2,}@((?:[a-z0-9-]+\.)+[a-z]{2,})")
# Reserved for examples, or of one letter and so plainly made up.
RESERVED = re.compile(
    r"^[a-z]\.[a-z]{2,3}$|(?:^|\.)(?:example|invalid|test|localhost|local|internal)$|(?:^|\.)example\.(?:com|net|org)$"
)
CREDENTIALS = {
    "a key of AWS": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a token of GitHub": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    "a token of Slack": re.compile(r"\bxox[abprs]-[0-9]{10,}-[A-Za-z0-9-]{10,}"),
    "a live key of Stripe": re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}"),
    "a key of Google": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\\?n?\s*[A-Za-z0-9+/]{60}"),
}


@pytest.fixture(scope="module")
def texts():
    """Every text the repository keeps."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    found = {}
    for name in listed.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file() and path.stat().st_size < 2_000_000:
            try:
                found[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
    assert len(found) > 500
    return found


def test_j09_no_file_holds_somebody_s_address(texts):
    strangers = {
        f"{name}: {found[0]}"
        for name, text in texts.items()
        for found in ADDRESS.finditer(text)
        if not RESERVED.search(found[1])
    }
    assert strangers == set()


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_j09_no_file_holds_a_credential_that_opens_something(texts, kind):
    assert [name for name, text in texts.items() if CREDENTIALS[kind].search(text)] == []

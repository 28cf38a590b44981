"""The token of ``/metrics``: read whole and unbroken, or refused with a sentence that does not tell it."""

import pytest

from make_bridge.faces.ops.token_file import read_token
from make_bridge.kernel.errors import ConfigurationError

GOOD = "0123456789abcdef" * 2


@pytest.mark.parametrize("content", [GOOD, f"{GOOD}\n", f"  {GOOD}\r\n"], ids=["bare", "line", "blanks"])
def test_a_token_is_what_stands_in_the_file(tmp_path, content):
    file = tmp_path / "metrics.token"
    file.write_text(content, newline="")
    assert read_token(file) == GOOD


@pytest.mark.parametrize(
    "content", [b"", b"short", GOOD[:-1].encode(), b"x" * 513, b"a b" * 20, b"\xc3\xa9" * 40, b"a\x00" * 40],
    ids=["empty", "short", "one-less", "long", "blanks", "letters", "nul"],
)  # fmt: skip
def test_another_content_is_refused_and_not_told(tmp_path, content):
    file = tmp_path / "metrics.token"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="must have 32 to 512 characters without blanks") as raised:
        read_token(file)
    assert not content or content.decode("latin-1") not in raised.value.message


def test_a_file_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_token(tmp_path / "nothing")

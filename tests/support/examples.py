"""What a page of documentation has its reader do: marked blocks, put together to one script and compared.

A comment above a fenced block says what becomes of it; readers of the page do not see it:

* ``<!-- run -->`` is carried out by bash, in the order of the page; names given in one block are known in the next.
* ``<!-- prints -->`` is what the block before it prints. ``…`` stands for anything within a line, and on a line of its
  own for any lines.
* ``<!-- file: NAME -->`` is written to a file, as the reader would.
* ``<!-- start: PORT -->`` is started beside, in place of what was there, and waited for until the port answers.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_MARK = re.compile(r"<!-- (run|prints|file|start)(?:: (\S+))? -->$")
_FENCE = re.compile(r"( *)(`{3,})(\w*)[^`]*$")
_END = "@@ end of the block of line"
_SCRIPT = """set -euo pipefail
beside=
end() { [ -z "$beside" ] || kill "$beside" 2>/dev/null || true; }
trap end EXIT
curl() { command curl --fail-with-body "$@"; }  # a refusal ends the page, whether or not it says what is printed
start() {  # PORT FILE
  end
  for _ in $(seq 300); do (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null || break; sleep 0.1; done
  bash -c "exec $(cat "$2")" >"$2.log" 2>&1 &
  beside=$!
  for _ in $(seq 300); do (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null && return; sleep 0.1; done
  cat "$2.log"; return 1
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its line on the page, its language, its text, and what is to become of it."""

    line: int
    language: str
    text: str
    mark: str = ""
    argument: str = ""


def blocks_of(page: Path) -> list[Block]:
    """Read every fenced block of a page."""
    return list(_blocks(page.read_text(encoding="utf-8").splitlines()))


def _blocks(lines: list[str]) -> Iterator[Block]:
    mark, argument, number = "", "", 0
    while number < len(lines):
        line = lines[number].strip()
        number += 1
        if found := _MARK.match(line):
            mark, argument = found[1], found[2] or ""
        elif fence := _FENCE.match(lines[number - 1]):
            begin = number
            while lines[number].strip() != fence[2]:
                number += 1
            text = "\n".join(each.removeprefix(fence[1]) for each in lines[begin:number])
            number += 1
            yield Block(line=begin, language=fence[3], text=text, mark=mark, argument=argument)
            mark, argument = "", ""
        elif line:
            assert not mark, f"line {number}: the block after <!-- {mark} --> is missing"


def script_of(blocks: list[Block], instead: Mapping[str, str]) -> str:
    """Put the marked blocks together; ``instead`` names what stands in them for something of the test's own."""
    parts = [_SCRIPT]
    for block in blocks:
        text = replaced(block.text, instead)
        match block.mark:
            case "run":
                parts.append(f"{text}\necho\necho '{_END} {block.line}'\n")
            case "file":
                parts.append(_written(block.argument, text))
            case "start":
                file = f".start-{block.line}"
                parts += [_written(file, text), f"start {replaced(block.argument, instead)} {file}\n"]
    return "".join(parts)


def _written(name: str, text: str) -> str:
    return f"cat > '{name}' <<'END OF FILE'\n{text}\nEND OF FILE\n"


def replaced(text: str, instead: Mapping[str, str]) -> str:
    """Put other words in the place of whole words."""
    for there, here in instead.items():
        text = re.sub(rf"(?<!\w){re.escape(there)}(?!\w)", here.replace("\\", r"\\"), text)
    return text


def printed(output: str) -> dict[int, str]:
    """Tell what each block printed, by its line."""
    found: dict[int, str] = {}
    rest = output
    while _END in rest:
        text, _, rest = rest.partition(f"\n{_END} ")
        number, _, rest = rest.partition("\n")
        found[int(number)] = text
    found[0] = rest
    return found


def fits(expected: str, text: str) -> bool:
    """Say whether the output is what the page says; a step that took a while may tell how long."""
    pattern = ""
    for line in expected.rstrip("\n").split("\n"):
        if line.strip() == "…":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += ".*".join(re.escape(part) for part in line.rstrip().split("…")) + r"(?:  \d+ ms)?[ \t]*\n"
    return re.fullmatch(pattern, text.rstrip("\n") + "\n") is not None

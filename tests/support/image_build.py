"""Carry out a Dockerfile without a container engine: each stage is a folder that is a Debian root, each RUN a chroot.

The first base comes from debootstrap, with the mirror that this machine's apt has, and is kept below
`~/.cache/make-bridge-tests` for the next time; everything after it is done anew. It takes root, minutes and a network,
so only the long form of `tests/deploy` comes here. What differs from an engine: the base is Debian's own minimal root,
not the image of the same release; layers are plain copies.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.dockerfile import Instruction, Stage, seen_by_a_build

RELEASE = "bookworm"
CACHE = Path.home() / ".cache" / "make-bridge-tests"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SECRETS = {
    "pip": (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf"),
    "npm": (Path.home() / ".npmrc",),
    "trust": (Path("/etc/ssl/certs/ca-certificates.crt"),),
}
_STEP_SECONDS = 900
# Who enters a root: /proc, a few devices, this machine's resolver and what it trusts; nothing of it stays behind.
_ENTER = """\
set -eu
root=$1 seal=$2; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
for place in $MOUNTS; do
    from=${place%%=*} to=$root${place#*=}
    [ -e "$to" ] || { mkdir -p "$(dirname "$to")"; : >"$to"; }
    mount --bind "$from" "$to"
done
if [ "$seal" = sealed ]; then
    mount -o remount,ro,bind "$root"
    mount -t tmpfs -o nosuid,nodev,noexec tmpfs "$root/tmp"
fi
mount -t proc proc "$root/proc"
mount -t tmpfs -o nosuid,noexec,mode=755 tmpfs "$root/dev"
for device in null zero random urandom; do : >"$root/dev/$device"; mount --bind /dev/$device "$root/dev/$device"; done
unset MOUNTS
exec "$@"
"""


@dataclass(slots=True, kw_only=True)
class Built:
    """A root and what its stage says of how to run it."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)


def mirror() -> str:
    """Return the Debian mirror that this machine's apt has."""
    for file in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))):
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        found = re.search(rf"^URIs:\s*(\S+)\s+Suites:\s*{RELEASE}\b", text, re.MULTILINE) or re.search(
            rf"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+{RELEASE}\s", text, re.MULTILINE
        )
        if found:
            return found[1]
    raise AssertionError(f"apt of this machine has no mirror with {RELEASE}")


def base_root() -> Path:
    """Return Debian's minimal root, made once."""
    root = CACHE / RELEASE
    if not (root / ".whole").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        _run(["debootstrap", "--variant=minbase", RELEASE, root, mirror()])
        (root / ".whole").touch()
    return root


def build(stages: Sequence[Stage], context: Path, folder: Path, report: Callable[[str], None]) -> Built:
    """Carry out every stage below `folder`; return the last."""
    files = seen_by_a_build(context)
    done: dict[str, Built] = {}
    for stage in stages:
        built = done[stage.name] = _begin(stage, done, folder)
        for instruction in stage.instructions:
            report(f"{stage.name}: {instruction.word} {instruction.value[:90]}")
            _carry_out(instruction, built, done, context, files)
    return done[stages[-1].name]


def built_before(stages: Sequence[Stage], folder: Path) -> Built | None:
    """Return the last stage as it lies in `folder` from an earlier build, if it does."""
    built = Built(root=folder / stages[-1].name)
    if not built.root.is_dir():
        return None
    for instruction in stages[-1].instructions:
        if instruction.word not in {"RUN", "COPY"}:
            _carry_out(instruction, built, {}, folder, ())
    return built


def _begin(stage: Stage, done: Mapping[str, Built], folder: Path) -> Built:
    root = folder / stage.name
    if stage.base == "scratch":
        root.mkdir(parents=True)
        return Built(root=root)
    source = done.get(stage.base)
    _run(["cp", "-a", "--reflink=auto", base_root() if source is None else source.root, root])
    if source is None:
        return Built(root=root, environment={"PATH": _PATH})
    return Built(root=root, environment=dict(source.environment), workdir=source.workdir, user=source.user)


def _carry_out(
    instruction: Instruction, built: Built, done: Mapping[str, Built], context: Path, files: Sequence[str]
) -> None:
    match instruction.word:
        case "RUN":
            _run_inside(instruction, built)
        case "COPY":
            _copy(instruction, built, done, context, files)
        case "ENV":
            built.environment |= instruction.pairs()
        case "WORKDIR":
            built.workdir = instruction.value
            _inside(built.root, instruction.value).mkdir(parents=True, exist_ok=True)
        case "USER":
            built.user = instruction.value
        case "ENTRYPOINT":
            built.entrypoint = instruction.exec_form()
        case "CMD":
            built.command = instruction.exec_form()
        case "HEALTHCHECK":
            health = Instruction(word="HEALTHCHECK", value=instruction.value.removeprefix("CMD").strip())
            built.health = health.exec_form()
        case "LABEL" | "EXPOSE" | "STOPSIGNAL":
            pass
        case word:
            raise AssertionError(f"line {instruction.line}: {word} is not carried out here")


def _run_inside(instruction: Instruction, built: Built) -> None:
    mounts = ["/etc/resolv.conf=/etc/resolv.conf"]
    for mount in instruction.flag("mount"):
        options = dict(option.partition("=")[::2] for option in mount.split(","))
        assert options["type"] == "secret", f"line {instruction.line}: only secrets are mounted here"
        found = next((file for file in _SECRETS[options["id"]] if file.is_file()), None)
        if found is not None:
            mounts.append(f"{found}={options['target']}")
    _run(
        entering(built, ["/bin/sh", "-c", f"cd {built.workdir} && {instruction.value}"], user="0:0"),
        {"MOUNTS": " ".join(mounts), "HOME": "/root", **built.environment},
    )


def entering(built: Built, command: Sequence[str], *, user: str | None = None, is_sealed: bool = False) -> list[str]:
    """Return the command that runs another inside a root; sealed means read-only, with an empty /tmp."""
    return [
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", _ENTER, "enter", str(built.root),
        "sealed" if is_sealed else "open", "setpriv", "--no-new-privs", "chroot", f"--userspec={user or built.user}",
        "--groups=", str(built.root), *command,
    ]  # fmt: skip


def _copy(
    instruction: Instruction, built: Built, done: Mapping[str, Built], context: Path, files: Sequence[str]
) -> None:
    *sources, goal = instruction.value.split()
    target = _inside(built.root, goal if goal.startswith("/") else f"{built.workdir}/{goal}")
    stage = instruction.flag("from")
    for source in sources:
        if stage:
            place = _inside(done[stage[0]].root, source)
            assert place.is_dir(), f"line {instruction.line}: {source} is no folder of {stage[0]}"
            target.mkdir(parents=True, exist_ok=True)
            _run(["cp", "-a", "--no-preserve=links", f"{place}/.", target])
            continue
        prefix = f"{source.strip('/')}/"
        inside = [file for file in files if file == source or file.startswith(prefix)]
        assert inside, f"line {instruction.line}: nothing of {source} reaches the build"
        for file in inside:
            if file == source:
                place = target / Path(file).name if goal.endswith("/") else target
            else:
                place = target / file.removeprefix(prefix)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(context / file, place)


def _inside(root: Path, path: str) -> Path:
    return root / path.strip("/")


def _run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_STEP_SECONDS,
        env={"PATH": os.environ["PATH"]} if environment is None else dict(environment),
    )
    assert done.returncode == 0, f"{command[-1]} ended with {done.returncode}:\n{done.stdout[-6000:]}"

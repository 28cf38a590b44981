"""Put together the root of the image: an interpreter, the program, what they load, and nothing else.

The Dockerfile calls it in its last but one stage, as ``assemble.py TARGET``; the last stage is that folder alone. What
runs strangers' data has no shell, no package manager and no setuid file beside it, so whoever gets into the process
finds nothing to go on with. Which libraries are needed is asked of the dynamic linker, not listed: a list would be
wrong with the next version of one of them.

Packages of Debian that files came from are noted below ``/var/lib/dpkg/status.d``, where scanners look for them.
"""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

USER = 10001
NAME = "make-bridge"
PROGRAM = Path("/opt/make-bridge")
STANDARD_LIBRARY = Path("/usr/lib/python3.11")
INTERPRETER = Path("/usr/bin/python3.11")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# Of the standard library: what installs, draws, tests, compiles C, or talks to terminals and old databases. No server
# loads it, and some of it would bring libraries along that need mending more often than Python does.
LEFT_OUT = (
    "ensurepip", "idlelib", "lib2to3", "test", "tkinter", "turtledemo", "pydoc_data", "config-*", "__pycache__",
    "_curses*.so", "_dbm*.so", "_gdbm*.so", "_sqlite3*.so", "_tkinter*.so", "nis*.so", "readline*.so", "_test*.so",
)  # fmt: skip
SCRIPTS = ("make-bridge", "python", "python3", "python3.11")
MERGED = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
FILES = {
    "etc/passwd": f"{NAME}:x:{USER}:{USER}:Make Bridge:/var/lib/{NAME}:/nonexistent\n",
    "etc/group": f"{NAME}:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
ELF = b"\x7fELF"
LINES_WITHOUT_FILE = ("linux-vdso", "statically linked")


def main(target: Path) -> None:
    """Put it together in an empty folder."""
    for folder in ("usr/bin", "usr/lib", "usr/lib64", "etc/ssl/certs", "proc", "sys", "dev", "run"):
        (target / folder).mkdir(parents=True)
    for name, place in MERGED.items():
        (target / name).symlink_to(place)
    for name, text in FILES.items():
        (target / name).write_text(text, encoding="ascii")
    copied = [bring(target, file) for file in (INTERPRETER, CERTIFICATES, Path("/etc/ssl/openssl.cnf"))]
    copied += [bring(target, Path("/usr/lib/os-release"))]
    (target / "etc/os-release").symlink_to("../usr/lib/os-release")
    (target / "usr/bin/python3").symlink_to("python3.11")
    shutil.copytree(STANDARD_LIBRARY, inside(target, STANDARD_LIBRARY), ignore=shutil.ignore_patterns(*LEFT_OUT))
    shutil.copytree(PROGRAM, inside(target, PROGRAM), symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    keep_only_scripts(inside(target, PROGRAM / "bin"))
    copied += [bring(target, library) for library in sorted(libraries(target))]
    compile_ahead(target)
    note_packages(target, [*copied, STANDARD_LIBRARY])
    for folder, mode in (("tmp", 0o1777), (f"var/lib/{NAME}", 0o700)):
        (target / folder).mkdir(parents=True)
        (target / folder).chmod(mode)
    os.chown(target / "var/lib" / NAME, USER, USER)
    take_privileges(target)


def inside(target: Path, path: Path) -> Path:
    """Return where a path of this machine lies in the image."""
    return target / path.relative_to("/")


def bring(target: Path, path: Path) -> Path:
    """Copy a file, under the name it is asked for by; return where it really was."""
    goal = inside(target, path.parent.resolve() / path.name)
    goal.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, goal)
    return path.resolve(strict=True)


def keep_only_scripts(folder: Path) -> None:
    for script in folder.iterdir():
        if script.name not in SCRIPTS:
            script.unlink()


def programs(target: Path) -> Iterator[Path]:
    """Find what the dynamic linker loads."""
    for path in target.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(len(ELF)) == ELF:
                    yield path


def libraries(target: Path) -> set[Path]:
    """Ask for the libraries of each; one that is neither here nor brought along ends the build."""
    found = {Path("/lib/x86_64-linux-gnu/libgcc_s.so.1")} if os.uname().machine == "x86_64" else set()
    for program in programs(target):
        done = subprocess.run(["ldd", program], check=False, capture_output=True, text=True)
        for line in done.stdout.splitlines():
            if any(words in line for words in LINES_WITHOUT_FILE):
                continue
            place = line.partition("=>")[2].strip() or line.strip()
            if place.startswith("not found"):
                sys.exit(f"{program} needs a library that is not there: {line.strip()}")
            library = Path(place.rpartition(" (")[0])
            if not library.resolve().is_relative_to(target):
                found.add(library)
    return found


def compile_ahead(target: Path) -> None:
    """Compile everything once: the image is read-only, and each start would do it anew."""
    subprocess.run(
        [
            sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
            "-s", target, "-p", "/", inside(target, STANDARD_LIBRARY), inside(target, PROGRAM),
        ],
        check=True,
    )  # fmt: skip


def note_packages(target: Path, files: list[Path]) -> None:
    folder = target / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    for package in sorted({package for file in files for package in packages_of(file)}):
        status = subprocess.run(["dpkg-query", "--status", package], check=True, capture_output=True, text=True)
        (folder / package.partition(":")[0]).write_text(status.stdout, encoding="utf-8")


def packages_of(file: Path) -> list[str]:
    """Return the packages a file came from: none for what a package's script has made."""
    names = {str(file), str(file).removeprefix("/usr")}
    for name in sorted(names):
        done = subprocess.run(["dpkg-query", "--search", name], check=False, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.endswith(f": {name}")]
        if lines:
            return [package.strip() for package in lines[0].rpartition(": ")[0].split(",")]
    return []


def take_privileges(target: Path) -> None:
    """Leave no file that runs as somebody else, and none that others than root may write."""
    for path in target.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            path.chmod(stat.S_IMODE(mode) & 0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

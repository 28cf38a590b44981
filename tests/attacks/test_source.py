"""What the program's own text must not contain, so that a whole class of attacks has nothing to begin with.

Read with `ast`, over every file of the package: a later file that brings one of these back turns a test red here.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "make_bridge"
EVALUATING = frozenset({"eval", "exec", "compile", "__import__", "globals", "locals", "vars", "breakpoint", "input"})
# What turns text or bytes into code, objects of any class, or a command.
LOADING = frozenset({"ast", "code", "codeop", "dill", "jinja2", "marshal", "pickle", "runpy", "shelve", "yaml"})
# Where a dynamic import is the point: commands by name, and finding the wheel that brings PostgreSQL.
IMPORTERS = frozenset({"cli/lazy.py", "platform/database/embedded_programs.py"})
RUNNING = ["query", "execute", "executemany", "one", "all", "copy", "stream"]
# Statements about roles and databases are put together from quoted names; no request reaches them.
ADMINISTRATION = "platform/database/"


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())


@pytest.fixture(scope="module")
def package():
    found = dict(trees())
    assert len(found) > 200
    return found


def calls(tree):
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def name_of(function):
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.attack("F04")
def test_nothing_evaluates_python(package):
    evaluating = [
        f"{path}:{call.lineno}"
        for path, tree in package.items()
        for call in calls(tree)
        if isinstance(call.func, ast.Name) and call.func.id in EVALUATING
    ]
    # Reading a file of the package loads no code.
    loading = [
        f"{path}: {name}"
        for path, tree in package.items()
        for name in set(imported(tree)) - {"importlib.resources"}
        if name.split(".")[0] in LOADING or (name.split(".")[0] == "importlib" and path not in IMPORTERS)
    ]
    assert (evaluating, loading) == ([], [])


@pytest.mark.attack("F05")
def test_the_engine_finds_no_attribute_by_a_name_from_outside(package):
    finding = [
        f"{path}:{call.lineno}"
        for path, tree in package.items()
        if path.startswith("engine/")
        for call in calls(tree)
        if name_of(call.func) in {"getattr", "setattr", "delattr", "hasattr", "attrgetter", "methodcaller"}
    ]
    assert finding == []


@pytest.mark.attack("F02")
def test_the_engine_formats_no_text_that_it_did_not_write(package):
    """`x.format(…)` and `x % …` where x is no literal would let a format of a stranger read our objects."""
    formatting = [
        f"{path}:{node.lineno}"
        for path, tree in package.items()
        if path.startswith("engine/")
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"format", "format_map", "vformat", "safe_substitute", "substitute"}
            and not isinstance(node.func.value, ast.Constant)
            and "msgspec" not in ast.unparse(node.func)
        )
    ]
    assert formatting == []


@pytest.mark.attack("F04")
def test_the_engine_starts_no_program_and_no_shell_runs_anywhere(package):
    shells = [
        f"{path}:{call.lineno}"
        for path, tree in package.items()
        for call in calls(tree)
        if name_of(call.func) in {"system", "popen", "create_subprocess_shell", "getoutput"}
        or any(keyword.arg == "shell" for keyword in call.keywords)
    ]
    assert shells == []


@pytest.mark.attack("F10")
def test_the_library_re_only_sees_patterns_of_our_own(package):
    """It backtracks without an end; patterns of strangers run on RE2. A pattern here is a literal or made of constants.

    What a local variable holds is only allowed where the whole module is a table of patterns (dates), and for the
    fixed bounds of connection types, which no request brings.
    """
    tables = {"engine/dates.py", "engine/iml/date_parse.py", "domain/connections/model.py"}
    strange = []
    for path, tree in package.items():
        for call in calls(tree):
            is_re = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "re" and call.args
            if not is_re or path in tables or not name_of(call.func).islower():
                continue
            names = [node.id for node in ast.walk(call.args[0]) if isinstance(node, ast.Name)]
            local = [name for name in names if not name.lstrip("_").isupper() and name != "tag"]
            if local or any(isinstance(node, ast.Call) and name_of(node.func) != "join"
                            for node in ast.walk(call.args[0])):  # fmt: skip
                strange.append(f"{path}:{call.lineno} {ast.unparse(call)[:80]}")
    assert strange == []


@pytest.mark.attack("G02", "G08")
def test_no_statement_is_put_together_when_it_is_run(package):
    """What goes to the database is a constant or comes from a table of constants; values travel as parameters."""
    built = []
    for path, tree in package.items():
        if path.startswith(ADMINISTRATION):
            continue
        for call in calls(tree):
            if name_of(call.func) not in RUNNING or not call.args or not isinstance(call.func, ast.Attribute):
                continue
            statement = call.args[0]
            if any(isinstance(node, ast.JoinedStr | ast.BinOp | ast.Call) for node in ast.walk(statement)) and (
                "tx" in ast.unparse(call.func) or "connection" in ast.unparse(call.func)
            ):
                built.append(f"{path}:{call.lineno} {ast.unparse(statement)[:60]}")
    assert built == []


@pytest.mark.attack("G02")
def test_constants_of_statements_are_made_of_constants(package):
    """An f-string in a store may hold other constants of its file (`_COLUMNS`), and nothing that a caller gave."""
    loose = []
    for path, tree in package.items():
        if "store" not in Path(path).stem or not path.startswith("domain/"):
            continue
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if not isinstance(node, ast.JoinedStr):
                    continue
                text = ast.unparse(node)
                if any(word in text for word in ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WHERE ", "ORDER BY")):
                    loose.append(f"{path}:{node.lineno}")
    assert loose == []


@pytest.mark.attack("G04", "G05")
def test_no_statement_searches_with_wildcards_or_a_query_language(package):
    """Nobody's text becomes a LIKE, a pattern or a full-text query, so nothing has to be escaped for them."""
    searching = []
    for path, tree in package.items():
        if not path.startswith(("domain/", "platform/queue", "platform/bus", "platform/coordination")):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " FROM " in node.value:
                upper = f" {node.value.upper()} "
                words = (" LIKE ", " ILIKE ", " SIMILAR TO ", "TO_TSQUERY", "REGEXP_", " ~ ", " ~* ", " COPY ")
                searching += [f"{path}:{node.lineno} {word}" for word in words if word in upper]
    assert searching == []

"""Names say what a thing is, and every module says why it exists.

A name that fits anything (`utils`, `manager`) collects everything; it is banned for files, folders and classes.
"""

import ast
import re

BANNED = frozenset(
    {"util", "utils", "utility", "utilities", "common", "helper", "helpers", "manager", "managers", "base", "misc"}
)
SOURCE = frozenset({"src", "tests", "stubs", "tools", "benchmarks", "examples", "web"})
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def words(name):
    return {word.lower() for word in WORD.findall(name)}


def test_no_file_or_folder_has_a_name_that_fits_anything(project_files):
    vague = {
        str(path)
        for path in project_files
        if path.parts[0] in SOURCE
        for part in (*path.parent.parts, path.name.split(".")[0])
        if words(part) & BANNED
    }
    assert vague == set()


def test_no_class_has_a_name_that_fits_anything(modules):
    vague = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules
        if module.path.parts[0] != "stubs"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and words(node.name) & BANNED
    ]
    assert vague == []


def test_every_module_opens_with_a_docstring(modules):
    silent = [str(module.path) for module in modules if not (ast.get_docstring(module.tree) or "").strip()]
    assert silent == []

"""Compiling: a parsed blueprint becomes a program that can run many times.

Called once per blueprint version, by the domain's cache of programs and by the command line. It runs
validation first and refuses on what is fatal, so that linking needs no checks of its own.
"""

from make_bridge.engine.apps.module import Kind
from make_bridge.engine.blueprint.called_functions import calling_nodes, functions_called
from make_bridge.engine.blueprint.findings import BlueprintInvalid, Severity
from make_bridge.engine.blueprint.link import Catalogue, Linker
from make_bridge.engine.blueprint.model import Blueprint
from make_bridge.engine.blueprint.program import Node, Program, Trigger
from make_bridge.engine.blueprint.validate import validate
from make_bridge.engine.blueprint.variables import named_variables

_LOOPING = frozenset({Kind.FEEDER, Kind.AGGREGATOR})


def compile_blueprint(blueprint: Blueprint, catalogue: Catalogue) -> Program:
    """Return the program, or raise `BlueprintInvalid` with the fatal findings."""
    fatal = [found for found in validate(blueprint, catalogue) if found.severity is Severity.FATAL]
    if fatal:
        raise BlueprintInvalid(fatal)
    linker = Linker(catalogue, blueprint.outputs)
    entry = linker.flow(blueprint.flow, None, None, owned=False)
    nodes = linker.nodes
    pure = all(node.spec.pure for node in nodes.values())
    called = functions_called(blueprint)
    functions = frozenset().union(*called.values())
    keeps_memory = any(node.spec.keeps_memory(node.parameters) for node in nodes.values())
    return Program(
        name=blueprint.name,
        entry=entry,
        nodes=nodes,
        settings=blueprint.settings,
        trigger=_trigger(entry),
        pure=pure,
        immediate=pure
        and not functions
        and not keeps_memory
        and not any(node.spec.kind in _LOOPING for node in nodes.values()),
        has_response=any(node.spec.answers for node in nodes.values()),
        functions=functions,
        calling=calling_nodes(nodes, frozenset(called)) if called else frozenset(),
        needs_ports=not pure or bool(functions),
        keeps_memory=keeps_memory,
        variables=named_variables(blueprint),
        required_components=tuple(linker.components),
        inputs=blueprint.inputs,
        outputs=blueprint.outputs,
    )


def _trigger(entry: Node | None) -> Trigger | None:
    if entry is None or entry.spec.kind is not Kind.TRIGGER:
        return None
    return Trigger(module_id=entry.id, module=entry.module, external=entry.spec.external)

"""The scenario language: blueprints, expressions, modules and the runner. Pure: no I/O of its own.

Other strata hand it ports (`ports.py`) and take results; nothing here opens a socket, a file or a
database, so that a scenario can be tried anywhere and replayed to the same end.
"""

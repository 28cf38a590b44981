"""`python -m tests.fuzz NAME --seconds N`: feed one target with inputs it never met.

Started from the project's root, where `tests` is no package; the folder is put on the path first, as pytest does, so
that the same modules have the same names in both.
"""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
runpy.run_module("fuzz.command", run_name="__main__")

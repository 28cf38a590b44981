"""The functions of the language, one table for each family; ``FUNCTIONS`` is all of them by name.

Adding a function is adding a line to its family's table. The compiler and the validation of blueprints read
nothing else.
"""

from typing import Final

from make_bridge.engine.iml.functions.arrays import ARRAYS
from make_bridge.engine.iml.functions.binary import BINARY
from make_bridge.engine.iml.functions.collections import COLLECTIONS
from make_bridge.engine.iml.functions.dates import DATES
from make_bridge.engine.iml.functions.general import GENERAL, SPECIAL_FORMS
from make_bridge.engine.iml.functions.markup import MARKUP
from make_bridge.engine.iml.functions.mathematics import MATHEMATICS
from make_bridge.engine.iml.functions.signature import Function, SpecialForm
from make_bridge.engine.iml.functions.text import TEXT

FUNCTIONS: Final[dict[str, Function | SpecialForm]] = {
    function.name: function
    for function in (
        *SPECIAL_FORMS,
        *GENERAL,
        *MATHEMATICS,
        *TEXT,
        *MARKUP,
        *BINARY,
        *DATES,
        *ARRAYS,
        *COLLECTIONS,
    )
}

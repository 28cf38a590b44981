"""The functions of the language, one table for each family; ``FUNCTIONS`` is all of them by name.

Adding a function is adding an entry to its family's table. The compiler and the validation of blueprints read
nothing else, and neither do those who explain the language to people: ``FAMILIES`` is its reference as data.
"""

from typing import Final

from make_bridge.engine.iml.functions.arrays import ARRAYS
from make_bridge.engine.iml.functions.binary import BINARY
from make_bridge.engine.iml.functions.collections import COLLECTIONS
from make_bridge.engine.iml.functions.dates import DATES
from make_bridge.engine.iml.functions.general import GENERAL, SPECIAL_FORMS
from make_bridge.engine.iml.functions.markup import MARKUP
from make_bridge.engine.iml.functions.mathematics import MATHEMATICS
from make_bridge.engine.iml.functions.signature import Family, Function, SpecialForm
from make_bridge.engine.iml.functions.text import TEXT

FAMILIES: Final = (
    Family(name="General", summary="Choosing, comparing, looking into values.", functions=(*SPECIAL_FORMS, *GENERAL)),
    Family(name="Mathematics", summary="Numbers: rounding, statistics, reading and writing.", functions=MATHEMATICS),
    Family(name="Text", summary="Case, cutting, searching, replacing.", functions=(*TEXT, *MARKUP)),
    Family(name="Binary and hashes", summary="Buffers, base64, hashes.", functions=BINARY),
    Family(name="Date and time", summary="Dates as instants; calendars in the scenario's zone.", functions=DATES),
    Family(name="Arrays and collections", summary="Lists and their elements.", functions=(*ARRAYS, *COLLECTIONS)),
)

FUNCTIONS: Final[dict[str, Function | SpecialForm]] = {
    function.name: function for family in FAMILIES for function in family.functions
}

"""Putting texts together: the parts of a template, and sums of which one early operand is a text."""

from collections.abc import Sequence

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.compiled import Compiled, Evaluator
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.texts import text_of
from make_bridge.engine.values import Value


def join_as_text(pieces: Sequence[Compiled], positions: Sequence[int]) -> Evaluator:
    """Return a closure that makes every piece a text and joins them; a piece that fails names its position."""
    layout = ["" if text is None else text for text in map(_known_text, pieces)]
    size_of_layout = sum(map(len, layout))
    readers = tuple((place, piece.evaluate) for place, piece in enumerate(pieces) if _known_text(piece) is None)

    def evaluate(scope: Scope) -> Value:
        texts = [*layout]
        size = size_of_layout
        place = 0
        try:
            for place, read in readers:
                value = read(scope)
                text = value if type(value) is str else text_of(value, scope)
                texts[place] = text
                size += len(text)
            scope.budget.allocate(size)
        except ExpressionError as error:
            error.locate(positions[place])
            raise
        return "".join(texts)

    return evaluate


def _known_text(piece: Compiled) -> str | None:
    """Return the text of a piece when it is a constant one."""
    value = None if piece.known is None else piece.known.value
    return value if isinstance(value, str) else None

"""From words to a tree, by precedence; what is wrong is said with its place and what was expected.

A parser of our own, and not one made by a grammar library: the grammar has a dozen operators, the
messages are for energy managers, and depth and size are bounded while the text is read.
"""

from __future__ import annotations

from collections.abc import Callable

from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas.tree import (
    COMPARISONS,
    FUNCTIONS,
    STRENGTH,
    Node,
    Number,
    Operation,
    Reference,
)
from kilowatch.model.formulas.words import Word, fault, nearest, words_of

DEPTH_MAX = 100

Find = Callable[[Word], int]
"""Returns the number of the data point that a word names; raises the refusal if there is none."""


def by_number_only(word: Word) -> int:
    """Return the number in ``#12``: all that a formula that is kept may hold.

    Raises:
        KilowatchError: ``formula_name``: it is a name.
    """
    if word.text.startswith("#"):
        return int(word.text[1:])
    raise fault("name", f"There is no data point {word.text!r}.", word.span)


def parse(text: str, find: Find = by_number_only) -> Node:
    """Read a formula.

    Args:
        text: What a person wrote, or what is kept.
        find: Finds data points by name.

    Raises:
        KilowatchError: 422 ``formula_…``, with the place in ``data["at"]`` and ``["until"]``.

    Example:
        >>> parse("2 * #7").sign
        '*'
    """
    return _Reader(words_of(text), find).whole()


class _Reader:
    def __init__(self, words: list[Word], find: Find) -> None:
        self._words = words
        self._place = 0
        self._depth = 0
        self._find = find

    @property
    def _next(self) -> Word:
        return self._words[self._place]

    def whole(self) -> Node:
        """Return the tree of all words."""
        if len(self._words) == 1:
            raise fault(
                "empty",
                "The formula is empty.",
                self._next.span,
                "Write the name of a data point in square brackets, such as [Main supply].energy.",
            )
        tree = self._expression(0)
        if self._next.kind != "end":
            raise self._unexpected("an operator such as + or *, or the end of the formula")
        return tree

    def _take(self) -> Word:
        word = self._next
        if word.kind != "end":
            self._place += 1
        return word

    def _takes(self, *texts: str) -> bool:
        word = self._next
        if word.kind in {"sign", "word"} and word.text in texts:
            self._place += 1
            return True
        return False

    def _expect(self, text: str, why: str) -> Word:
        word = self._next
        if not self._takes(text):
            raise self._unexpected(f"{text!r} {why}")
        return word

    def _unexpected(self, wanted: str) -> KilowatchError:
        word = self._next
        found = "The formula ends here" if word.kind == "end" else f"Here stands {word.text!r}"
        if word.kind == "point":
            found = f"Here stands the data point {word.text!r}"
        remedy = ""
        if word.kind == "sign" and word.text == "," and self._place and self._before_is_number():
            remedy = "A number is written with a point: 1.5."
        return fault("expected", f"{found}, where {wanted} was expected.", word.span, remedy)

    def _before_is_number(self) -> bool:
        return self._words[self._place - 1].kind == "number"

    def _expression(self, least: int) -> Node:
        """Return the longest piece whose operators bind at least so strongly."""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise fault(
                "too_deep",
                f"More than {DEPTH_MAX} brackets or conditions stand within each other.",
                self._next.span,
                "Make formulas of its parts, and one that uses them.",
            )
        left = self._operand()
        while True:
            sign = self._next.text if self._next.kind in {"sign", "word"} else ""
            own = STRENGTH.get(sign, 0) if sign != "not" else 0
            if not own or own < max(least, 1):
                break
            self._take()
            # Powers lean to the right, and what stands above may have a minus: 2 ^ -1.
            right = self._expression(7 if sign == "^" else own + 1)
            left = Operation(sign, (left, right), (left.span[0], right.span[1]))
            if sign in COMPARISONS and self._next.text in COMPARISONS:
                raise fault(
                    "comparison",
                    "Two comparisons follow each other.",
                    self._next.span,
                    "Join them with 'and': 5 kW < [A] and [A] < 9 kW.",
                )
        self._depth -= 1
        return left

    def _operand(self) -> Node:
        word = self._next
        begins: dict[str, Callable[[Word], Node]] = {
            "(": self._bracket,
            "-": self._of_one,
            "not": self._of_one,
            "if": self._condition,
        }
        if word.kind == "number":
            self._take()
            return Number(word.value, word.unit, word.span)
        if word.kind == "point":
            return self._reference()
        if word.text in begins:
            return begins[self._take().text](word)
        if word.kind == "word":
            return self._call()
        raise self._unexpected("a data point in square brackets, a number or an opening bracket")

    def _bracket(self, _word: Word) -> Node:
        inner = self._expression(0)
        self._expect(")", "to close the bracket")
        return inner

    def _of_one(self, word: Word) -> Node:
        sign = "not" if word.text == "not" else "negative"
        part = self._expression(STRENGTH[sign])
        return Operation(sign, (part,), (word.span[0], part.span[1]))

    def _condition(self, word: Word) -> Node:
        condition = self._expression(0)
        self._expect("then", "after the condition of 'if'")
        then = self._expression(0)
        self._expect("else", "for what holds otherwise")
        other = self._expression(0)
        return Operation("if", (condition, then, other), (word.span[0], other.span[1]))

    def _reference(self) -> Node:
        word = self._take()
        parameter, end = "", word.span[1]
        if self._takes("."):
            named = self._take()
            if named.kind != "word":
                self._place -= int(named.kind != "end")
                raise self._unexpected("the figure that is meant, such as energy or power,")
            parameter, end = named.text, named.span[1]
        return Reference(self._find(word), parameter, (word.span[0], end))

    def _call(self) -> Node:
        word = self._take()
        name = word.text.casefold()
        if name not in FUNCTIONS:
            raise _no_function(word)
        self._expect("(", f"after {name!r}")
        parts = [self._expression(0)]
        while self._takes(","):
            parts.append(self._expression(0))
        end = self._expect(")", f"to close what {name!r} works on").span[1]
        least, most = FUNCTIONS[name]
        if not least <= len(parts) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            raise fault(
                "values",
                f"{name!r} works on {wanted} values; {len(parts)} stand here.",
                (word.span[0], end),
            )
        return Operation(name, tuple(parts), (word.span[0], end))


def _no_function(word: Word) -> KilowatchError:
    if word.text.casefold() == "round":
        return fault(
            "function",
            "There is no function 'round'.",
            word.span,
            "Leave it out: pages round what they show, and sums stay right.",
        )
    close = nearest(word.text, [*FUNCTIONS, "if", "then", "else", "and", "or", "not"])
    return fault(
        "function",
        f"{word.text!r} is no function, and no data point without square brackets.",
        word.span,
        f"Did you mean {close!r}?"
        if close
        else f"Write [{word.text}] for a data point; functions are {', '.join(FUNCTIONS)}.",
    )

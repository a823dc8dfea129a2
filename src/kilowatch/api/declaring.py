"""What a declaration of a resource says: address, parameters, answer.

Requests are routed and checked by it, and the description that the server publishes is made of it:
nothing is written twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kilowatch.api.needs import Rooms
from kilowatch.api.problems import bad_parameter
from kilowatch.catalog.rights import Person
from kilowatch.model.errors import KilowatchError

DIGITS_MAX = 15  # as in the dashboard: every such number fits in a database
PER_PAGE_MAX = 1_000
TEXT_MAX = 254
MOST = 10**DIGITS_MAX - 1
NUMBER: Mapping[str, Any] = {"type": "integer", "minimum": 1, "maximum": MOST}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query.

    Attributes:
        name: What stands before the equals sign.
        about: What it says, for the description.
        schema: JSON Schema of its text.
        read: Makes a value of the text; raises ``ValueError`` with what was expected.
        default: The value where it is not sent; None for no value.
        required: Whether it has to be sent.
    """

    name: str
    about: str
    schema: Mapping[str, Any]
    read: Callable[[str], Any]
    default: Any = None
    required: bool = False


def number(
    name: str, about: str, *, least: int = 1, most: int = MOST, required: bool = False
) -> Parameter:
    """Return a parameter that is a whole number."""

    def read(text: str) -> int:
        fits = text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX
        if not fits or not least <= int(text) <= most:
            span = f" from {least} to {most}" if most < MOST else ""
            raise ValueError(f"a whole number{span}")
        return int(text)

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Parameter(name, about, schema, read, required=required)


def truth(name: str, about: str) -> Parameter:
    """Return a parameter that is true or false, false where it is not sent."""

    def read(text: str) -> bool:
        if text not in ("true", "false", "1", "0"):
            raise ValueError("true or false")
        return text in ("true", "1")

    return Parameter(name, about, {"type": "boolean", "default": False}, read, default=False)


def word(name: str, about: str, words: Sequence[str], default: str | None = None) -> Parameter:
    """Return a parameter that is one of some words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    usual = {} if default is None else {"default": default}
    return Parameter(name, about, {"type": "string", "enum": list(words), **usual}, read, default)


def text(name: str, about: str, *, required: bool = False) -> Parameter:
    """Return a parameter that is a short text."""

    def read(brought: str) -> str:
        if not 0 < len(brought) <= TEXT_MAX or not brought.isprintable():
            raise ValueError(f"1 to {TEXT_MAX} printable characters")
        return brought

    schema = {"type": "string", "minLength": 1, "maxLength": TEXT_MAX}
    return Parameter(name, about, schema, read, required=required)


PAGING = (
    number("page", "Which page, from 1; without it and `per_page` the whole list is answered."),
    number("per_page", "Items on a page; 100 where only `page` is sent.", most=PER_PAGE_MAX),
)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that has been checked.

    Attributes:
        rooms: Everything that an answer is made from.
        who: Whom the token stands for.
        number: The number in the address; 0 where it has none.
        values: Every declared parameter of the query by name; the default where it was not sent.
        tool: Of the resource.
    """

    rooms: Rooms
    who: Person
    number: int
    values: Mapping[str, Any]
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One address of the API.

    Attributes:
        path: Below ``/api/v1``; its number is ``{id}``.
        handler: Makes the answer, in a thread; its name is what the time it takes is counted by.
        answer: Type of the answer: a struct, or a list of one.
        group: Heading that it stands under.
        summary: What it is, in a few words.
        about: What one has to know, in sentences.
        parameters: Those of its query.
        paged: Whether the answer is a list that can be asked for in pages.
        tool: The tool of a plan that shows the same on pages; empty for what everybody has.
    """

    path: str
    handler: Callable[[Ask], Any]
    answer: Any
    group: str
    summary: str
    about: str = ""
    parameters: tuple[Parameter, ...] = ()
    paged: bool = False
    tool: str = ""

    @property
    def every_parameter(self) -> tuple[Parameter, ...]:
        """The parameters of the query, those of paging included."""
        return (*self.parameters, *(PAGING if self.paged else ()))

    @property
    def shape(self) -> re.Pattern[str]:
        """The path as a pattern."""
        return re.compile(self.path.replace("{id}", f"(?P<id>[0-9]{{1,{DIGITS_MAX}}})"))

    def check(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return the values of a query.

        Args:
            pairs: Names and texts as they came.

        Raises:
            KilowatchError: 400 ``parameter_unknown``, ``bad_parameter`` or ``parameter_missing``;
                ``data["parameter"]`` names it.
        """
        known = {one.name: one for one in self.every_parameter}
        values = {one.name: one.default for one in known.values()}
        seen: set[str] = set()
        for name, brought in pairs:
            if name not in known:
                raise _unknown(name, list(known))
            if name in seen:
                raise bad_parameter(name, f"{name} is there more than once.", "Send it once.")
            seen.add(name)
            try:
                values[name] = known[name].read(brought)
            except ValueError as error:
                raise bad_parameter(
                    name, f"{name} is {brought[:50]!r}.", f"It has to be {error}."
                ) from None
        for one in known.values():
            if one.required and one.name not in seen:
                raise KilowatchError(
                    "parameter_missing",
                    f"{one.name} is missing.",
                    remedy=one.about,
                    data={"parameter": one.name},
                )
        return values


def _unknown(name: str, known: Sequence[str]) -> KilowatchError:
    return KilowatchError(
        "parameter_unknown",
        f"{name[:50]!r} is not a parameter of this address.",
        remedy=f"It has {', '.join(known)}." if known else "It has none.",
        data={"parameter": name[:50]},
    )

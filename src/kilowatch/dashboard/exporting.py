"""Exports as people get them: who may have what, the words, and the answer as it streams.

``export_page.py`` is the page; links for spreadsheets and the command line use the same functions.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from kilowatch.catalog.rights import Person, has_tool
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import Rooms
from kilowatch.dashboard.words import catalogue, t
from kilowatch.exports.definition import FORMATS, Definition
from kilowatch.exports.excel_file import Summary, Wording
from kilowatch.exports.formats import chunks_of
from kilowatch.exports.plan import Place, Plan, plan
from kilowatch.exports.slices import Reader
from kilowatch.exports.slots import Slots
from kilowatch.exports.tables import Heading
from kilowatch.model.blocks import Quality
from kilowatch.model.points import DataPoint

TOOL = "export"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Author:
    """Who exports, as the file tells it.

    Attributes:
        shown: In the notes of a workbook.
        signed: In the metadata of a file.
    """

    shown: str
    signed: str

    @classmethod
    def of(cls, who: Person) -> Author:
        """Return a person."""
        return cls(f"{who.name} ({who.email})", who.email)


def exportable(rooms: Rooms, who: Person, organisation_id: int | None = None) -> list[DataPoint]:
    """Return every data point whose figures a person may take along.

    Args:
        rooms: What the dashboard was given.
        who: The person.
        organisation_id: Only those of one organisation.
    """
    having = {number for number in who.standings if has_tool(who, TOOL, number)}
    if organisation_id is not None:
        having &= {organisation_id}
    return [
        point
        for point in rooms.registry.directory().points.values()
        if point.organisation_id in having and may_point(who, "export", point)
    ]


def chosen(
    rooms: Rooms, who: Person, asked: Definition, organisation_id: int | None = None
) -> list[Place]:
    """Return the data points of a definition that a person may export, with their names."""
    names = {
        site.id: (owner.name, site.name)
        for owner in rooms.registry.tree(who)
        for site in owner.sites
    }
    return [
        Place(point, *names[point.site_id])
        for point in named(exportable(rooms, who, organisation_id), asked)
        if point.site_id in names
    ]


def named(points: Iterable[DataPoint], asked: Definition) -> list[DataPoint]:
    """Return the data points that a definition names, by themselves or with where they are."""
    numbers: dict[str, set[int]] = {kind: set() for kind in "pso"}
    for place in asked.places:
        numbers[place[0]].add(whole_number(place[1:]) or 0)
    return [
        point
        for point in points
        if point.id in numbers["p"]
        or point.site_id in numbers["s"]
        or point.organisation_id in numbers["o"]
    ]


def planned(
    rooms: Rooms, who: Person, asked: Definition, organisation_id: int | None = None
) -> Plan:
    """Return how an export is carried out for a person; blocks briefly.

    Raises:
        KilowatchError: 400 ``bad_export``.
    """
    places = chosen(rooms, who, asked, organisation_id)
    return plan(rooms.view, places, asked, rooms.clock())


def file_of(reader: Reader, author: Author, export: Plan, format_word: str) -> Iterator[bytes]:
    """Return a file piece by piece; empty pieces while one is still put together.

    Args:
        reader: Asks the store.
        author: Who exports.
        export: What is exported.
        format_word: A word of ``definition.FORMATS``.

    Raises:
        KilowatchError: 400 where the format cannot hold it.
    """
    export.check(format_word)
    when = datetime.fromtimestamp(export.now_ms / 1000, UTC).isoformat(timespec="seconds")
    about = {
        "exported_by": author.signed,
        "exported_at": when,
        **{name: value for name, value in export.asked.pairs() if name != "place"},
    }
    return chunks_of(format_word, export, reader, wording(author, export, when), about)


def reader_of(rooms: Rooms) -> Reader:
    """Return what asks the store, in turn with every other export."""
    return Reader(rooms.view, rooms.exports.turn)


def file_name(export: Plan, format_word: str) -> str:
    """Return a name that tells files of a folder apart."""
    points = {one.point.name for one in export.subjects}
    sites = {one.site for one in export.subjects}
    what = next(iter(points)) if len(points) == 1 else ""
    what = what or (next(iter(sites)) if len(sites) == 1 else "kilowatch")
    plain = re.sub(r"[^A-Za-z0-9]+", "-", what).strip("-").lower() or "kilowatch"
    asked = export.asked
    period = f"{asked.first}-{asked.last}" if asked.period == "custom" else asked.period
    return f"{plain}-{period.replace('_', '-')}-{asked.grain}.{FORMATS[format_word][0]}"


def wording(author: Author, export: Plan, when: str) -> Wording:
    """Return what people read in a workbook."""

    def heading(one: Heading, zone: str) -> str:
        if one.people:
            return one.people
        key = f"export_column.{one.name}"
        return t(key, zone=zone or t("export.zone_of_site")) if key in catalogue() else one.name

    return Wording(
        t("export.sheet_data"),
        t("export.sheet_notes"),
        heading,
        lambda written: _notes(author, export, when, written),
    )


def _notes(author: Author, export: Plan, when: str, written: Summary) -> list[tuple[str, str]]:
    subjects, asked = export.subjects, export.asked
    names = list(dict.fromkeys(f"{one.site}: {one.point.name}" for one in subjects))
    shown = ", ".join(names[:50])
    if len(names) > 50:
        shown += t("export.note_more", n=len(names) - 50)
    first = min(one.from_ms if asked.period != "everything" else _first(one) for one in subjects)
    last = max(one.to_ms for one in subjects)
    lines = [
        ("what", shown),
        ("span", t("export.note_span", first=_utc(max(first, min(map(_first, subjects)))),
                   last=_utc(last))),
        ("grain", t(f"export_grain.{asked.grain}")),
        ("zone", t("export.note_zone", zone=", ".join(export.zones))),
        ("units", t(f"export_units.{asked.units}")),
        ("empty", t("export.note_empty")),
        ("labels", t("export.note_labels")),
    ]  # fmt: skip
    if asked.grain != "source":
        told = [f"{one.name.lower()}: {t(f'export_quality.{one.name.lower()}')}" for one in Quality]
        lines.append(("qualities", "\n".join(told)))
    if written.rows and written.qualities:
        counts = ", ".join(f"{word or '–'} {n:,}" for word, n in written.qualities.most_common())
        share = f"{written.covered / written.rows:.1%}"
        lines.append(("completeness", t("export.note_completeness", share=share, counts=counts)))
    if "half_hours" in asked.extras:
        lines.append(("half_hours", t("export.note_half_hours")))
    if export.silent:
        silent = ", ".join(one.name for one in export.silent[:50])
        lines.append(("silent", silent))
    lines += [("rows", f"{written.rows:,}"), ("who", author.shown), ("when", when)]
    return [(t(f"export_note.{key}"), text) for key, text in lines]


def _first(one: object) -> int:
    extent = getattr(one, "extent", None)
    return int(extent.first_ms) if extent is not None else 0


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


class Pieces:
    """A file's pieces, all made by one thread of their own.

    Each thread's allocators keep what its largest slice took: made by whichever of the server's
    threads is free, a long file would leave that behind in every one of them.

    Args:
        rest: The file; closed at the end, however that comes.
        done: Called at the end.
        making: Held while a piece is made: what its slice takes is free again afterwards, so that
            as many exports as there can be take the memory of a few.
    """

    def __init__(
        self,
        rest: Iterator[bytes],
        done: Callable[[], None],
        making: AbstractContextManager[object] | None = None,
    ) -> None:
        self._rest, self._done = rest, done
        self._making = making or nullcontext()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="export")

    async def make(self, made: Callable[[], tuple[Iterator[bytes], Plan]]) -> Plan:
        """Take the pieces that a function returns, and return their plan."""
        self._rest, export = await self._call(made)
        return export

    async def next(self) -> bytes | None:
        """Return the next piece; None after the last."""
        return await self._call(self._next)

    async def end(self) -> None:
        """Stop the work, after the piece that is under way."""
        try:
            await self._call(lambda: _end(self._rest, self._done))
        finally:
            self._thread.shutdown(wait=False)

    def _next(self) -> bytes | None:
        with self._making:
            return next(self._rest, None)

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class FileAnswer(StreamingResponse):
    """A file that is sent while it is written, no faster than it is read.

    A client that goes away stops the work. One that fails half-way ends without the last chunk,
    so that nobody takes it for whole.

    Args:
        first: What is there already.
        rest: The rest of the file.
        headers: Of the answer.
        media_type: Of the file.
    """

    def __init__(
        self, first: bytes, rest: Pieces, headers: dict[str, str], media_type: str
    ) -> None:
        self._first, self._rest = first, rest
        super().__init__(self._pieces(), headers=headers, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._rest.end()

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield self._first
        while (piece := await self._rest.next()) is not None:
            if piece:
                yield piece


async def begin(
    request: Request, user_id: int, slots: Slots, made: Callable[[], tuple[Iterator[bytes], Plan]]
) -> tuple[bytes, Pieces, Plan] | None:
    """Take a place among the running exports and read until the first piece is there.

    What cannot be exported is refused here, while an answer can still say so.

    Args:
        request: Who asks; one who goes away meanwhile ends the work.
        user_id: Whose export it is.
        slots: Counts the exports that are under way; the place is given back at the end.
        made: Returns the file's pieces and its plan; called in a thread.

    Returns:
        The first piece, the rest, and the plan; None when nobody waits any more.

    Raises:
        KilowatchError: 400 for what makes no sense, 429 ``exports_running``.
    """
    slots.take(user_id)
    pieces = Pieces(iter(()), lambda: slots.give_back(user_id), slots.making)
    try:
        export = await pieces.make(made)
        while (piece := await pieces.next()) is not None:
            if piece:
                return piece, pieces, export
            if await request.is_disconnected():
                break
    except BaseException:
        await pieces.end()
        raise
    await pieces.end()
    return None


def _end(pieces: Iterator[bytes], done: Callable[[], None]) -> None:
    try:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
    finally:
        done()

"""The Export page: what a person may take along, how much it is, and how a file is sent."""

from __future__ import annotations

import asyncio
import csv
import io
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from kilowatch.dashboard import export_page
from kilowatch.dashboard.exporting import FileAnswer, Pieces
from kilowatch.exports.slots import MADE_MAX, Slots
from kilowatch.model.errors import KilowatchError
from tests.dashboard.conftest import Logged
from tests.dashboard.worlds import VIEWER, World

PAGE = {"accept": "text/html"}


def rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(text)))


def test_the_page_offers_what_the_person_may_export(world: World, admin: TestClient) -> None:
    """Sites and data points are searched and ticked; what is ticked stands in the address."""
    page = admin.get("/export?place=p999999&q=gas", headers=PAGE).text
    assert "Gas boiler" in page
    assert "Presse" not in page
    gas, dublin = world.point("gas").id, world.sites["Office Dublin"]
    page = admin.get(f"/export?place=s{dublin}&place=p{gas}&grain=30m", headers=PAGE).text
    assert f'value="s{dublin}" checked' in page
    assert f'value="p{gas}" checked' in page
    assert "/export/preview?place=s" in page
    found = admin.get(f"/export/places?q=boiler&place=p{gas}").text
    assert "Gas boiler" not in found, "what is chosen already is not found again"
    bad = admin.get("/export?zone=Mars/Base", headers=PAGE)
    assert bad.status_code == 200
    assert "is no time zone" in bad.text
    for word in ("g1", "²", "2026-02-30", "s99999999999999999999", "p-1"):
        bad = admin.get("/export", params=[("place", f"p{gas}"), ("place", word)], headers=PAGE)
        assert bad.status_code == 200, word
        assert "is no data point, site or organisation" in bad.text
        assert f'value="p{gas}" checked' in bad.text, "what can be read stays chosen"
        for address in ("/export/file", "/export/preview"):
            answer = admin.get(address, params={"place": word})
            assert "is no data point" in answer.text, (address, word)


def test_the_preview_shows_first_rows_and_how_much_it_is(world: World, admin: TestClient) -> None:
    """Before anything is sent a person sees columns, rows, parameters and the size."""
    main = world.point("main").id
    shown = admin.get(f"/export/preview?place=p{main}&period=last_7_days&grain=hour").text
    assert "start_local" in shown
    assert "+00:00" in shown
    assert "about 160 rows; data points: 1" in shown
    assert 'value="pC"' in shown
    assert 'formaction="/export/file"' in shown
    empty = admin.get("/export/preview").text
    assert "Nothing is chosen yet" in empty
    new = world.point("new").id
    assert "There is no data" in admin.get(f"/export/preview?place=p{new}").text
    assert "no period" in admin.get(f"/export/preview?place=p{main}&period=soon").text


def test_each_format_is_sent_with_its_name(world: World, admin: TestClient) -> None:
    """The file has a name that tells files of a folder apart, and the figures of the page."""
    main, gas = world.point("main").id, world.point("gas").id
    query = f"place=p{main}&place=p{gas}&period=last_7_days&grain=day"
    answer = admin.get(f"/export/file?{query}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    name = 'attachment; filename="office-dublin-last-7-days-day.csv"'
    assert answer.headers["content-disposition"] == name
    table = rows(answer.text)
    assert {row["data_point"] for row in table} == {"Main supply", "Gas boiler"}
    assert len(table) == 14
    for word, mark in (("xlsx", b"PK"), ("parquet", b"PAR1")):
        content = admin.get(f"/export/file?{query}&format={word}&layout=wide").content
        assert content.startswith(mark)
    assert admin.get(f"/export/file?{query}&format=pdf").status_code == 400
    assert world.app.state.rooms.exports.running == 0


def test_who_may_not_export_gets_nothing(world: World, logged: Logged) -> None:
    """A viewer reads figures on pages, and is told that a file is not theirs to take."""
    main = world.point("main").id
    viewer = logged(VIEWER)
    for path in ("/export", "/export/places", f"/export/file?place=p{main}"):
        assert viewer.get(path).status_code == 403, path
    assert "/export" not in viewer.get(f"/breakdown/{main}", headers=PAGE).text


def test_excel_is_refused_with_a_pointer_before_work(
    world: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sheet that would be too long is an answer that says what to take, and no file."""
    main = world.point("main").id
    monkeypatch.setattr("kilowatch.exports.plan.EXCEL_ROWS_MAX", 100)
    monkeypatch.setattr(export_page, "EXCEL_ROWS_MAX", 100)
    query = f"place=p{main}&period=last_7_days&grain=interval"
    answer = admin.get(f"/export/file?{query}&format=xlsx")
    assert answer.status_code == 400
    assert answer.json()["code"] == "too_many_rows"
    assert "CSV or Parquet" in answer.json()["remedy"]
    shown = admin.get(f"/export/preview?{query}").text
    assert "disabled" in shown
    assert "Take CSV or Parquet" in shown


def test_one_person_runs_two_exports_at_a_time(world: World, admin: TestClient) -> None:
    """The third waits, and is told for how long; others are not in its way."""
    slots = world.app.state.rooms.exports
    main = world.point("main").id
    for number in (1, 1, 2, 2, 3, 3):
        slots.take(number)
    with pytest.raises(KilowatchError, match="6 exports are running"):
        slots.take(4)
    answer = admin.get(f"/export/file?place=p{main}")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "30"
    for number in (1, 1, 2, 2, 3, 3):
        slots.give_back(number)
    assert slots.running == 0
    assert admin.get(f"/export/file?place=p{main}").status_code == 200


def test_all_exports_together_make_two_slices_at_a_time(world: World, admin: TestClient) -> None:
    """Six of them take the memory of two; each has its turn, and none is left out."""
    slots = Slots()
    counting = threading.Lock()
    inside: list[int] = [0]
    most: list[int] = [0]

    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            with counting:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.005)
            with counting:
                inside[0] -= 1
            yield b"piece"

    async def run(one: Pieces) -> int:
        count = 0
        while await one.next() is not None:
            count += 1
        await one.end()
        return count

    async def run_all() -> list[int]:
        own = [Pieces(pieces(), lambda: None, slots.making) for _ in range(6)]
        return await asyncio.gather(*map(run, own))

    assert asyncio.run(run_all()) == [3] * 6
    assert 1 <= most[0] <= MADE_MAX

    class Noted(threading.Semaphore):
        taken = 0

        def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
            self.taken += 1
            return super().acquire(blocking, timeout)

        __enter__ = acquire

    noted = Noted()
    world.app.state.rooms.exports.making = noted
    assert admin.get(f"/export/file?place=p{world.point('main').id}").status_code == 200
    assert noted.taken > 1, "files that are sent make their slices in turn"
    world.app.state.rooms.exports.making = Slots().making


def test_a_failure_half_way_and_a_reader_that_leaves_are_seen() -> None:
    """A file that breaks off has no last chunk; one that nobody reads any more is not made."""
    ended: list[str] = []
    threads: set[int] = set()

    def pieces(last: int, fails: bool) -> Iterator[bytes]:
        try:
            for n in range(last):
                ended.append("piece")
                threads.add(threading.get_ident())
                yield b"%d\n" % n
            if fails:
                raise KilowatchError("store_failed", "the disk is gone", status=503)
        finally:
            ended.append("closed")

    async def run(made: Iterator[bytes], leaves_after: int) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) > leaves_after:
                gone.set()
            await asyncio.sleep(0.001)

        answer = FileAnswer(b"head", Pieces(made, lambda: ended.append("done")), {}, "text/csv")
        scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}}
        try:
            await answer(scope, receive, send)
        except KilowatchError:
            ended.append("raised")
        except BaseExceptionGroup:
            ended.append("raised")
        return sent

    sent = asyncio.run(run(pieces(2, fails=True), 1_000))
    assert ended[-3:] == ["closed", "done", "raised"]
    assert len(threads) == 1, "each thread's allocators keep what a slice took"
    assert threading.get_ident() not in threads
    assert all(message.get("more_body", True) for message in sent), "never ended cleanly"
    ended.clear()
    asyncio.run(run(pieces(100_000, fails=False), 5))
    assert ended[-2:] == ["closed", "done"]
    assert ended.count("piece") < 100, "work stopped soon after the reader had gone"
    ended.clear()
    sent = asyncio.run(run(pieces(3, fails=False), 1_000))
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert b"".join(message.get("body", b"") for message in sent) == b"head0\n1\n2\n"


def test_a_reader_that_takes_nothing_holds_a_slice_and_no_stop() -> None:
    """No slice is made before the last is taken; a server that stops lets go of both."""
    made: list[int] = []
    ended: list[str] = []

    def pieces() -> Iterator[bytes]:
        try:
            for n in range(1_000):
                made.append(n)
                yield b"%d\n" % n
        finally:
            ended.append("closed")

    async def run() -> None:
        full = asyncio.Event()
        taken: list[bytes] = []

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Any) -> None:
            taken.append(message.get("body", b""))
            if len(taken) == 4:
                full.set()
                await asyncio.Event().wait()

        answer = FileAnswer(b"head", Pieces(pieces(), lambda: ended.append("done")), {}, "text/csv")
        scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}}
        sending = asyncio.ensure_future(answer(scope, receive, send))
        await full.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert taken == [b"", b"head", b"0\n", b"1\n"]
        assert made == [0, 1]
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    asyncio.run(run())
    assert ended == ["closed", "done"]

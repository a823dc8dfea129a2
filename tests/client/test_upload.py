from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.client import Backoff, Pusher, PushStopped, Target
from kilowatch.client.journal import Journal, digest_of
from kilowatch.client.source import Line, read
from kilowatch.client.upload import upload
from kilowatch.model.errors import KilowatchError

QUICK = Backoff(first_s=0.0, longest_s=0.0)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _packets(path: Path, stream_id: str | None = None) -> list[Any]:
    return [json.loads(line.body) if not line.mistake else line for line in read(path, stream_id)]


def test_a_table_of_parameters_becomes_packets(tmp_path: Path) -> None:
    """One row with columns for phases is one packet; an empty cell is an absent parameter."""
    path = _write(
        tmp_path / "a.csv",
        "\ufeffid,tsISO8601,aP_1,aP_2\nmain,2026-01-01T00:00:00+00:00,1250.50,\n\n"
        'main,2026-01-01T00:15:00+00:00," 7 ",-3e2\n',
    )
    assert [line.body for line in read(path)] == [
        b'{"id":"main","tsISO8601":"2026-01-01T00:00:00+00:00","aP_1":1250.50}',
        b'{"id":"main","tsISO8601":"2026-01-01T00:15:00+00:00","aP_1":7,"aP_2":-3e2}',
    ]
    assert [line.number for line in read(path)] == [2, 4]


def test_a_long_table_with_units_becomes_packets(tmp_path: Path) -> None:
    """One row a value, as many exports have it; semicolons are fine too."""
    path = _write(
        tmp_path / "a.csv",
        "stream_id;ts;value;unit\ngas;2026-01-01T00:00:00+00:00;.5;m3\n"
        "heat;2026-01-01T00:00:00+00:00;1;MWh\ngas;2026-01-01T01:00:00+00:00;2;L\n",
    )
    gas, heat, wrong = _packets(path)
    assert gas == {"id": "gas", "tsISO8601": "2026-01-01T00:00:00+00:00", "value": 0.5}
    assert heat["value"] == 1
    assert wrong == Line(4, "gas", b"", "the unit changes from m3 to L")


def test_a_stream_can_be_named_for_a_file_that_names_none(tmp_path: Path) -> None:
    """A logger's export often knows times and values only."""
    path = _write(tmp_path / "a.csv", "time,value\n2026-01-01T00:00:00Z,1\n")
    assert _packets(path, "t")[0]["id"] == "t"
    with pytest.raises(KilowatchError, match="--stream"):
        list(read(path))
    lines = '{"tsISO8601":"2026-01-01T00:00:00Z","value":1}\n{"id":"own","value":2}\n'
    ndjson = _write(tmp_path / "a.ndjson", lines)
    assert [p["id"] for p in _packets(ndjson, "t")] == ["t", "own"]
    assert _packets(ndjson)[0].mistake == "the packet has no id"


def test_a_line_that_is_no_packet_says_why(tmp_path: Path) -> None:
    """Every bad line is named with its number and its reason."""
    path = _write(tmp_path / "a.csv", "id,ts,value\na,2026-01-01T00:00Z,x\na,2026,nan\n,2026,1\n")
    assert [(line.number, line.mistake) for line in read(path)] == [
        (2, "value is 'x', not a number"),
        (3, "value is 'nan', not a number"),
        (4, "the line has no stream id"),
    ]
    bad = _write(tmp_path / "b.ndjson", '{"id":"a","value":1}\n\n{"id":}\n')
    assert [(line.number, bool(line.mistake)) for line in read(bad)] == [(1, False), (3, True)]


@pytest.mark.parametrize("header", ["id,value", "id,ts", ""])
def test_a_header_that_lacks_something_is_explained(tmp_path: Path, header: str) -> None:
    """The first line must say which column is which."""
    with pytest.raises(KilowatchError) as refused:
        list(read(_write(tmp_path / "a.csv", header + "\n1,2\n")))
    assert refused.value.remedy


def _file(folder: Path, lines: int, streams: int) -> Path:
    dice = random.Random(lines)
    clocks = dict.fromkeys(range(streams), 0)
    rows = []
    for _ in range(lines):
        stream = dice.randrange(streams)
        clocks[stream] += 1
        minute = clocks[stream]
        at = f"2026-01-01T{minute // 60:02d}:{minute % 60:02d}:00.000+00:00"
        rows.append(json.dumps({"id": f"s{stream}", "tsISO8601": at, "value": minute}))
    return _write(folder / "packets.ndjson", "\n".join(rows) + "\n")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), streams=st.integers(1, 6))
def test_a_push_that_is_stopped_again_and_again_pushes_everything_once(
    fake_server: Any, tmp_path_factory: pytest.TempPathFactory, seed: int, streams: int
) -> None:
    """Pull the plug at any moment, on a line that breaks: the file arrives once and in order."""
    folder = tmp_path_factory.mktemp("push")
    path, dice = _file(folder, 200, streams), random.Random(seed)
    place = Journal.place(folder, digest_of(path)[0], "t")

    def fault(_number: int, _method: str) -> str:
        return dice.choices(["", "drop", "drop after commit"], [94, 3, 3])[0]

    async def once(server: Any, answers: int) -> bool:
        stopping: asyncio.Event = asyncio.Event()
        left = answers

        def count(_line: Line) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                stopping.set()

        with Journal(place) as journal:
            async with Pusher(Target.parse(server.url, "u", "p"), backoff=QUICK) as pusher:
                work = asyncio.create_task(upload(read(path), pusher, journal, count))
                halt = asyncio.create_task(stopping.wait())
                await asyncio.wait({work, halt}, return_when=asyncio.FIRST_COMPLETED)
                halt.cancel()
                finished = work.done()
                work.cancel()
                await asyncio.gather(work, halt, return_exceptions=True)
        return finished and left > 0

    async def run() -> None:
        async with fake_server(fault).running() as server:
            while not await once(server, dice.randrange(1, 400)):
                if dice.random() < 0.3 and place.exists():  # the journal's last line is torn
                    torn = place.read_bytes()
                    place.write_bytes(torn + b'[12,"s0","acc')
            stored = sum(len(rows) for rows in server.stored.values())
            assert stored == 200
            assert not server.discarded
            for rows in server.stored.values():
                assert [r["value"] for r in rows] == list(range(1, len(rows) + 1))

    asyncio.run(run())
    with Journal(place) as journal:
        assert sum(journal.summary.counts.values()) == 200
        assert set(journal.summary.counts) <= {"accepted", "duplicate"}


def test_refused_lines_are_reported_with_number_and_reason(
    fake_server: Any, tmp_path: Path
) -> None:
    """What the platform or the file got wrong stands in the summary, also after a resume."""
    path = _write(
        tmp_path / "a.ndjson",
        '{"id":"a","tsISO8601":"1","value":1}\nnonsense\n{"id":"a","tsISO8601":"2","value":2}\n',
    )

    async def run() -> None:
        server = fake_server(lambda number, _: "400" if number == 2 else "")
        async with server.running():
            with Journal(tmp_path / "j") as journal:
                async with Pusher(Target.parse(server.url, "u", "p")) as pusher:
                    await upload(read(path), pusher, journal)

    asyncio.run(run())
    with Journal(tmp_path / "j") as journal:
        assert journal.summary.resumed == 3
        assert journal.summary.counts == {"accepted": 1, "refused": 2}
        found = {(r.line, r.stream_id, r.code) for r in journal.summary.refused}
        assert found == {(2, "", "not_pushed"), (3, "a", "fault_400")}


def test_a_wrong_password_stops_the_push_and_counts_nothing(
    fake_server: Any, tmp_path: Path
) -> None:
    """Mend the password, run the same command: nothing was lost in between."""
    path = _file(tmp_path, 50, 3)

    async def run() -> None:
        async with fake_server(lambda _n, _m: "401").running() as server:
            with Journal(tmp_path / "j") as journal:
                async with Pusher(Target.parse(server.url, "u", "p")) as pusher:
                    with pytest.raises(PushStopped, match="password"):
                        await upload(read(path), pusher, journal)
                assert not journal.summary.counts

    asyncio.run(run())

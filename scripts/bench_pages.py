"""Measure what a visitor waits for: bytes of the first load, largest paint, and what moves.

    .venv/bin/python scripts/bench_pages.py [--data DIR] [--only breakdown] [--write]

Opens every page that the routes have in headless Chromium over the loopback address, each in a new
profile, so that nothing is in its cache; on the demo of ``./dev screenshots``, some 15 minutes on a
quiet machine. ``--write`` puts the table into docs/reference/benchmarks.md; with ``--only`` or
``--times 1`` it is for a look, and nothing is written.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, StorageState, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kilowatch import __version__  # noqa: E402
from scripts import screenshots as gallery  # noqa: E402
from tests.dashboard.walk import PAGE, WalkedPage, address_with, pages  # noqa: E402

PAGE_OF_FIGURES = ROOT / "docs" / "reference" / "benchmarks.md"
BEGIN, END = "<!-- pages:begin -->", "<!-- pages:end -->"
BYTES_MAX = 400 * 1024
PAINT_MS_MAX = 1_000.0
SHIFT_MAX = 0.02
TIMES_MIN = 3
"""Of fewer the median says nothing."""
WATCH = """
window.measured = {paint: 0, shift: 0};
const each = (type, take) => new PerformanceObserver(list => list.getEntries().forEach(take))
  .observe({type, buffered: true});
each('largest-contentful-paint', one => { window.measured.paint = one.startTime; });
each('layout-shift', one => { if (!one.hadRecentInput) window.measured.shift += one.value; });
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One page: packed bytes of its first load, largest contentful paint [ms], layout shift."""

    address: str
    kib: float
    paint_ms: float
    shift: float

    @property
    def misses(self) -> bool:
        """Tell whether it misses a target."""
        return self.kib * 1024 > BYTES_MAX or self.paint_ms > PAINT_MS_MAX or self.shift > SHIFT_MAX


def main() -> None:
    """Measure every page and print the table."""
    out = ROOT / "test-output"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=out / "gallery-demo", help="the demo's folder")
    parser.add_argument("--only", nargs="+", default=[], help="parts of pages' names")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--soon", action="store_true", help="do not wait for a running demo's year")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with gallery.demo(asked.data, wait=not asked.soon) as url:
        password = json.loads((asked.data / "demo.json").read_text())["dashboard_password"]
        found = _pages(asked.data, url, password)
        wanted = [one for one in found if not asked.only or any(w in one.name for w in asked.only)]
        with sync_playwright() as playwright:
            browser = gallery.started(playwright)
            state = gallery.session(browser, url, password)
            lines = [_measure(browser, url, one, state, asked.times) for one in wanted]
            browser.close()
    text = _table(lines, load)
    print(text)
    if asked.write and (asked.only or asked.times < TIMES_MIN):
        sys.exit("a table of some pages, or of one try each, is not written")
    if asked.write:
        page = PAGE_OF_FIGURES.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE_OF_FIGURES.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    if missed := [line.address for line in lines if line.misses]:
        sys.exit(f"misses a target: {', '.join(missed)}")


def _pages(data: Path, url: str, password: str) -> list[WalkedPage]:
    numbers: dict[str, Any] = gallery.furnished(data)
    with httpx.Client(base_url=url, timeout=60, headers=PAGE) as client:
        gallery.log_in(client, password)
        numbers["event_id"] = gallery.event_of(client, numbers)
        with httpx.Client(base_url=url, timeout=60) as stranger:
            return list(pages(client, stranger, address_with(numbers)))


def _measure(browser: Browser, url: str, one: WalkedPage, state: StorageState, times: int) -> Line:
    """Open a page in new profiles and return the median of each measure."""
    found = []
    for _ in range(times):
        context = browser.new_context(
            viewport={"width": 1280, "height": 900},
            locale="en-IE",
            storage_state=state if one.signed_in else None,
        )
        context.add_init_script(WATCH)
        page = context.new_page()
        received = [0]
        wire = context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.on("Network.loadingFinished", lambda event, sum_=received: _add(sum_, event))
        page.goto(f"{url}{one.address}", wait_until="load")
        gallery.settled(page)
        measured = page.evaluate("window.measured")
        found.append((received[0] / 1024, measured["paint"], measured["shift"]))
        context.close()
    kib, paint, shift = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"{one.name:60} {kib:6.0f} KiB {paint:6.0f} ms {shift:6.3f}", file=sys.stderr, flush=True)
    return Line(
        one.path + one.address.partition("?")[1] + one.address.partition("?")[2], kib, paint, shift
    )


def _add(received: list[int], event: dict[str, Any]) -> None:
    received[0] += int(event.get("encodedDataLength", 0))


def _table(lines: list[Line], load: float) -> str:
    head = [
        (
            f"Kilowatch {__version__}, {dt.datetime.now(dt.UTC).date()}: {os.cpu_count()} cores, "
            f"load average {load:.1f} before the run. {len(lines)} pages, each in a new profile of "
            "headless Chromium, 1280 px wide, over http on the loopback address; medians."
        ),
        "",
        "| page | first load, packed, KiB | largest paint ms | layout shift |",
        "| --- | ---: | ---: | ---: |",
    ]
    rows = [
        f"| `{line.address}` | {line.kib:.0f} | {line.paint_ms:.0f} | {line.shift:.3f} |"
        for line in sorted(lines, key=lambda line: -line.kib)
    ]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    main()

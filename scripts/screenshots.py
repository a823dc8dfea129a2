"""Take pictures of every page with a year of demo data: wide and narrow, light and dark.

    ./dev screenshots                      # everything, into test-output/gallery
    ./dev screenshots --only sentinel home # pages whose name has one of these words

Pages are found from the dashboard's routes: a new page is in the gallery by itself, and one that
cannot be opened fails the run. The demo is started in a folder of its own, which is kept, so that
only the first run waits for its year (minutes); a demo that runs there already is used as it is.
What the demo can't show is beside it: an installation in its first minute, errors, and paper.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Playwright,
    StorageState,
    sync_playwright,
)

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sqlalchemy import select  # noqa: E402

from kilowatch import catalog  # noqa: E402
from kilowatch.catalog import people  # noqa: E402
from kilowatch.catalog.tables import DataPoint, Meter, Organisation, Site  # noqa: E402
from scripts import gallery_more as more  # noqa: E402
from tests.dashboard.access_world import KINDS, PERSONAL, Furnishing  # noqa: E402
from tests.dashboard.walk import PAGE, WalkedPage, address_with, pages  # noqa: E402

SIZES = {"desktop": (1280, 900), "phone": (390, 844), "paper": (794, 1123)}
THEMES = ("light", "dark")
CHROMIUM_FLAGS = (
    "--lang=en-GB",  # fields of dates follow the browser's language, not the page's
    *("--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
START_S_MAX = 60.0
HISTORY_S_MAX = 3_600.0
SETTLED = """() => !document.querySelector('[aria-busy="true"], .htmx-request')"""
WAIT_MS = 60_000
SHOWN = ("office-electricity", "school-electricity")
"""The data point that pages are about, and the one whose site is shown beside it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A page with its pictures and what its browser complained about."""

    page: WalkedPage
    files: dict[tuple[str, str], str]
    faults: list[str]


class Heard:
    """What a browser complains about while it shows a page."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def error(self, error: object) -> None:
        """Keep what a script threw."""
        self.faults.append(str(error))

    def line(self, message: ConsoleMessage) -> None:
        """Keep what the console calls an error; violations of the policy are among them."""
        if message.type == "error":
            self.faults.append(message.text)


def main() -> None:
    """Take every picture that was asked for, and write the index."""
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    with demo(asked.data, wait=not asked.soon) as url:
        account = json.loads((asked.data / "demo.json").read_text(encoding="utf-8"))
        numbers = furnished(asked.data)
        with httpx.Client(base_url=url, timeout=60, headers=PAGE) as client:
            log_in(client, account["dashboard_password"])
            numbers["event_id"] = event_of(client, numbers)
            with httpx.Client(base_url=url, timeout=60) as stranger:
                found = list(pages(client, stranger, address_with(numbers)))
        found += [*more.on_paper(found), *more.MISSING]
        who = ("demo@example.com", account["dashboard_password"])
        with sync_playwright() as playwright:
            browser = started(playwright)
            taken = _take_all(browser, url, who, _wanted(found, asked), asked)
            browser.close()
    if not asked.only or any("empty" in word for word in asked.only):
        taken += _empty(asked)
    if not asked.only:
        _index(asked.out, taken)
    faults = [f"{one.page.address}: {fault}" for one in taken for fault in one.faults]
    print(f"{len(taken)} pages, {sum(len(one.files) for one in taken)} pictures in {asked.out}")
    if faults:
        sys.exit("\n".join(faults))


def _wanted(found: list[WalkedPage], asked: argparse.Namespace) -> list[WalkedPage]:
    return [one for one in found if not asked.only or any(w in one.name for w in asked.only)]


def _empty(asked: argparse.Namespace) -> list[Taken]:
    """Take the pages of an installation in its first minute."""
    with more.empty_installation() as (url, email, password), sync_playwright() as playwright:
        with httpx.Client(base_url=url, timeout=60, headers=PAGE) as client:
            log_in(client, password, email)
            with httpx.Client(base_url=url, timeout=60) as stranger:
                found = more.first_pages(client, stranger)
        browser = started(playwright)
        taken = _take_all(browser, url, (email, password), _wanted(found, asked), asked)
        browser.close()
    return taken


def _arguments() -> argparse.Namespace:
    out = ROOT / "test-output"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=out / "gallery-demo", help="the demo's folder")
    parser.add_argument("--out", type=Path, default=out / "gallery")
    parser.add_argument("--only", nargs="+", default=[], help="parts of pages' names")
    parser.add_argument("--soon", action="store_true", help="do not wait for a running demo's year")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--themes", nargs="+", choices=THEMES, default=list(THEMES))
    return parser.parse_args()


@contextlib.contextmanager
def demo(data: Path, *, wait: bool) -> Iterator[str]:
    """Yield the address of the demo's dashboard, its year and its insights complete."""
    there = _running(data)
    if there:
        if wait:
            _history_done(there)
        yield there
        return
    data.mkdir(parents=True, exist_ok=True)
    (data / "addresses.json").unlink(missing_ok=True)
    names = ("--push-http-port", "--push-https-port", "--dashboard-port", "--dashboard-https-port")
    ports = [part for name in names for part in (name, "0")]
    process = subprocess.Popen(
        [sys.executable, "-m", "kilowatch", "demo", "--data", str(data), *ports],
        stdout=subprocess.DEVNULL,
    )
    try:
        ends = time.monotonic() + START_S_MAX
        while not (url := _running(data)):
            if process.poll() is not None or time.monotonic() > ends:
                sys.exit("the demo did not start")
            time.sleep(0.1)
        print("waiting for the demo's year; only a first run takes minutes")
        _history_done(url)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _running(data: Path) -> str:
    """Return the address of a demo that runs in a folder; empty when none does."""
    with contextlib.suppress(OSError, ValueError, httpx.HTTPError):
        kept = json.loads((data / "addresses.json").read_text(encoding="utf-8"))
        url = str(kept["dashboard_http"]).rstrip("/")
        httpx.get(f"{url}/health").raise_for_status()
        return url
    return ""


def _history_done(url: str) -> None:
    """Wait until packets come as slowly as live ones, and insights have seen every hour."""
    ends, before, calm = time.monotonic() + HISTORY_S_MAX, -1.0, 0
    while time.monotonic() < ends and calm < 3:
        answer = httpx.get(f"{url}/metrics", timeout=30).text
        lines = re.findall(r"^kilowatch_(\w+(?:\{[^}]*\})?) ([0-9.e+-]+)$", answer, re.MULTILINE)
        figures = dict(lines)
        packets = float(figures.get('push_answers_total{outcome="accepted"}', 0))
        due = float(figures.get("insights_due_hours", 0))
        calm = calm + 1 if due < 100 and 0 <= packets - before < 100 else 0
        before = packets
        time.sleep(4)


def furnished(data: Path) -> dict[str, Any]:
    """Return the numbers of one object of each kind; makes what the demo lacks, once."""
    kept = data / "gallery.json"
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    opened = catalog.open(data / "catalog.sqlite")
    try:
        with opened.change(catalog.Actor("gallery")) as change:
            session = change.session
            owner = session.scalars(select(Organisation).order_by(Organisation.id)).first()
            points = {p.stream_id: p for p in session.scalars(select(DataPoint))}
            shown = points[SHOWN[0]]
            site = session.get(Site, shown.site_id)
            meter = session.scalars(select(Meter).filter_by(site_id=shown.site_id)).first()
            user = people.find_by_email(session, "demo@example.com")
            assert owner is not None
            assert site is not None
            assert user is not None
            people.set_role(change, user, owner, "partner administrator")
            own = Furnishing(change, owner, site, "Gallery")
            real = {
                "organisation_id": owner.id,
                "site_id": site.id,
                "point_id": shown.id,
                "event_id": 0,
                "said_id": 0,
                "entry_id": 0,
            }
            own.made |= {"point": shown, "secrets": []}
            if meter is not None:
                own.made["meter"] = meter
                real["meter_id"] = meter.id
            for kind, make in KINDS.items():
                known[kind] = real[kind] if kind in real else known.get(kind) or make(own)
            for kind, make_own in PERSONAL.items():
                known[kind] = known.get(kind) or make_own(own, user)
    finally:
        opened.close()
    kept.write_text(json.dumps(known), encoding="utf-8")
    more.with_alerts(data, known)
    return known


def log_in(client: httpx.Client, password: str, email: str = "demo@example.com") -> None:
    """Log a client in; with the demo's account where no other is named."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/login").text)
    assert found
    form = {"csrf": found[1], "email": email, "password": password}
    answer = client.post("/login", data=form)
    assert answer.status_code == 303, answer.text[:500]


def event_of(client: httpx.Client, numbers: dict[str, Any]) -> str:
    """Return an event that insights have found, and let pages be about its data point."""
    for number in (90, 365):
        shown = client.get(f"/sentinel?place=s{numbers['site_id']}&days={number}").text
        if found := re.findall(r"/event/(\d+)/([\w-]+)", shown):
            own = [one for one in found if int(one[0]) == numbers["point_id"]]
            point, event = (own or found)[0]
            numbers["point_id"] = int(point)
            return str(event)
    sys.exit("insights have found nothing yet: run this again when the demo has its year")


def started(playwright: Playwright) -> Browser:
    """Return a headless Chromium."""
    return playwright.chromium.launch(
        executable_path=_chromium(),
        args=list(CHROMIUM_FLAGS),
        chromium_sandbox=os.geteuid() != 0,  # Chromium refuses its sandbox to root
    )


def _chromium() -> str:
    names = (os.environ.get("KILOWATCH_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    for name in names:
        if name and (path := shutil.which(name)):
            return path
    raise SystemExit("No Chromium on PATH: set KILOWATCH_CHROMIUM to one.")


def _take_all(
    browser: Browser,
    url: str,
    who: tuple[str, str],
    wanted: list[WalkedPage],
    asked: argparse.Namespace,
) -> list[Taken]:
    state = session(browser, url, who[1], who[0])
    taken = {one.name: Taken(one, {}, []) for one in wanted}
    for size in asked.sizes:
        width, height = SIZES[size]
        for signed in (True, False):
            context = browser.new_context(
                viewport={"width": width, "height": height},
                locale="en-IE",
                storage_state=state if signed else None,
            )
            context.set_default_timeout(WAIT_MS)
            page, heard = context.new_page(), Heard()
            page.on("pageerror", heard.error)
            page.on("console", heard.line)
            for one in wanted:
                if one.signed_in is signed and one.name.startswith("paper-") is (size == "paper"):
                    heard.faults.clear()
                    _take(page, url, taken[one.name], size, asked)
                    if not one.name.startswith("error-"):
                        taken[one.name].faults.extend(f"{size}: {text}" for text in heard.faults)
            context.close()
    return list(taken.values())


def session(
    browser: Browser, url: str, password: str, email: str = "demo@example.com"
) -> StorageState:
    """Log in through the form, and return what the browser keeps."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/login")
    page.fill("#email", email)
    page.fill("#password", password)
    page.click("button[type=submit]")
    page.wait_for_selector("#tree", state="attached")
    state = context.storage_state()
    context.close()
    return state


def _take(page: Page, url: str, one: Taken, size: str, asked: argparse.Namespace) -> None:
    page.emulate_media(color_scheme="light", media="print" if size == "paper" else "screen")
    page.goto(f"{url}{one.page.address}", wait_until="load")
    settled(page)
    width = SIZES[size][0]
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        one.faults.append(f"{size}: is {wide} px wide in a window of {width} px")
    for theme in asked.themes if size != "paper" else ("light",):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        page.wait_for_timeout(350)
        name = f"{one.page.name}-{size}-{theme}.png"
        page.screenshot(path=asked.out / name, full_page=True)
        one.files[size, theme] = name
    print(f"{one.page.name} ({size})", flush=True)


def settled(page: Page) -> None:
    """Wait until nothing is under way, what comes only when it is scrolled to as well.

    The first time what is near is fetched, the second time it is drawn: on a phone the answer may
    be there only when its place has been passed.
    """
    page.wait_for_function(SETTLED)
    for _ in range(2):
        page.evaluate("window.scrollTo(0, 0)")
        for _ in range(12):  # by windows: what comes only when it is near is passed by none of them
            page.evaluate("window.scrollBy(0, window.innerHeight)")
            page.wait_for_timeout(80)
        page.wait_for_timeout(300)
        page.wait_for_function(SETTLED)
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(300)


INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Kilowatch: every page</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body {{ font: 14px/1.5 system-ui, sans-serif; margin: 24px; background: #888; color: #000; }}
section {{ margin-bottom: 48px; }} h2 {{ font-size: 18px; }}
div {{ display: grid; grid-template-columns: 3fr 3fr 1fr 1fr; gap: 16px; align-items: start; }}
img {{ width: 100%; display: block; }}
</style></head><body><h1>Every page, {count} of them</h1>
<nav><p>{links}</p></nav>
{sections}</body></html>
"""


def _index(out: Path, taken: list[Taken]) -> None:
    """Write the page that shows all pictures side by side."""
    sections = []
    for one in taken:
        pictures = "".join(
            f'<a href="{file}"><img src="{file}" loading="lazy" '
            f'alt="{html.escape(one.page.address)}, {size}, {theme}"></a>'
            for (size, theme), file in sorted(one.files.items())
        )
        title = f"{html.escape(one.page.path)} <small>{html.escape(one.page.address)}</small>"
        name = one.page.name
        sections.append(f'<section id="{name}"><h2>{title}</h2><div>{pictures}</div></section>')
    links = " · ".join(f'<a href="#{one.page.name}">{one.page.name}</a>' for one in taken)
    text = INDEX.format(count=len(taken), links=links, sections="\n".join(sections))
    (out / "index.html").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

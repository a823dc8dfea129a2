"""What the gallery shows beside the demo: an empty installation, alerts, errors, and paper."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from kilowatch.dashboard.access import Door
from kilowatch.notify.book import Book, insert
from tests.dashboard.walk import PARAMETER, WalkedPage, pages

START_S_MAX = 60.0
DAY_MS = 86_400_000
MISSING = (
    WalkedPage("/no-such-page", "/no-such-page", "error-not-there"),
    WalkedPage("/breakdown/{point_id}", "/breakdown/999999", "error-no-such-data-point"),
    WalkedPage("/waste", "/waste?until=soon", "error-of-an-address"),
)
"""What answers with an error, and shall still be a page with a next step."""

PAPER = (
    "home", "sentinel", "waste", "forecast", "breakdown-one", "breakdown-site-one", "event-one-one",
    "compare", "profile-one", "quality",
)  # fmt: skip
"""Names of the pages that people print."""

PORTS = ("--push-http-port", "--push-https-port", "--dashboard-port", "--dashboard-https-port")
COMMAND = (sys.executable, "-m", "kilowatch")


@contextlib.contextmanager
def empty_installation() -> Iterator[tuple[str, str, str]]:
    """Yield the address of a server in its first minute, and its only account with its password."""
    with tempfile.TemporaryDirectory(prefix="kilowatch-empty-") as folder:
        data = Path(folder) / "data"
        ports = [part for name in PORTS for part in (name, "0")]
        process = subprocess.Popen(
            [*COMMAND, "serve", "--data", str(data), *ports],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = _started(data / "addresses.json", process)
            told = subprocess.run(
                [*COMMAND, "account", "first", "new@example.com", "--organization", "Acme",
                 "--data", str(data)],
                capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
            password = re.search(r"password\W+(\S+)", told, re.IGNORECASE)
            assert password, told
            yield url, "new@example.com", password[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _started(addresses: Path, process: subprocess.Popen[bytes]) -> str:
    ends = time.monotonic() + START_S_MAX
    while time.monotonic() < ends and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, httpx.HTTPError):
            url = str(json.loads(addresses.read_text(encoding="utf-8"))["dashboard_http"])
            httpx.get(f"{url.rstrip('/')}/health").raise_for_status()
            return url.rstrip("/")
        time.sleep(0.1)
    sys.exit("the empty installation did not start")


def first_pages(client: httpx.Client, stranger: httpx.Client) -> list[WalkedPage]:
    """Return the pages that there are before there is anything: those of one organisation.

    Args:
        client: Logged in to an empty installation.
        stranger: Not logged in to it.
    """

    def there(path: str) -> bool:
        numbered = set(re.findall(r"\{(\w+)", path))
        asked = path.startswith(("/data/", "/export/")) or path.endswith(".csv")
        return numbered <= {"organisation_id", "number"} and not asked and "/site/" not in path

    def address(door: Door) -> str:
        return PARAMETER.sub("1", door.path)

    found = pages(client, stranger, address, of=there)
    return [
        WalkedPage(one.path, one.address, f"empty-{one.name}", signed_in=True)
        for one in found
        if one.signed_in
    ]


def on_paper(found: list[WalkedPage]) -> list[WalkedPage]:
    """Return the pages that people print, under a name of their own."""
    return [
        WalkedPage(one.path, one.address, f"paper-{one.name}") for one in found if one.name in PAPER
    ]


def with_alerts(data: Path, numbers: Mapping[str, Any]) -> None:
    """Put an alert that lasts, one that is over, and their messages into a demo's book, once."""
    book = Book(data / "notify.sqlite")
    try:
        if book.number("SELECT count(*) FROM delivery"):
            return
        now_ms = time.time_ns() // 1_000_000
        about = {key: numbers[key] for key in ("organisation_id", "rule_id")}
        with book.writing() as tx:
            for ended_ms in (None, now_ms - DAY_MS):
                begun_ms = now_ms - DAY_MS // 12 if ended_ms is None else now_ms - 2 * DAY_MS
                times = dict.fromkeys(("opened_ms", "tell_ms", "told_ms", "spoke_ms"), begun_ms)
                over = {"ended_ms": ended_ms, "closed_ms": ended_ms}
                alert = {**about, "rule_name": "Gallery rule", "kind": "offline", **times, **over}
                alert_id = insert(tx, "alert", [alert | {"ended_why": "over" if ended_ms else ""}])
                since = dict.fromkeys(("since_ms", "due_ms", "noticed_ms"), begun_ms)
                member = {"alert_id": alert_id, "data_point_id": numbers["point_id"]}
                insert(
                    tx, "member",
                    [{**member, "site_id": numbers["site_id"], **since, "ended_ms": ended_ms}],
                )  # fmt: skip
                _sent(tx, numbers, alert_id, begun_ms, failed=ended_ms is None)
    finally:
        book.close()


def _sent(tx: Any, numbers: Mapping[str, Any], alert_id: int, at_ms: int, *, failed: bool) -> None:
    """Add a message with its attempts: one that arrived at the second, or one that did not."""
    reason = "The receiver answered 404." if failed else ""
    delivery_id = insert(tx, "delivery", [{
        "key": f"gallery-{alert_id}", "alert_id": alert_id,
        "organisation_id": numbers["organisation_id"], "channel_id": numbers["channel_id"],
        "channel_name": "Gallery channel", "shown": "hook", "what": "opened",
        "title": "No data from Electricity for 2 h", "body": "", "facts": "{}",
        "created_ms": at_ms, "next_ms": at_ms, "tries": 2,
        "state": "failed" if failed else "sent", "done_ms": at_ms + 11_000, "reason": reason,
    }])  # fmt: skip
    attempts = ((0, "failed", "The receiver could not be reached."),
                (11_000, "failed" if failed else "sent", reason))  # fmt: skip
    insert(tx, "attempt", [
        {"delivery_id": delivery_id, "started_ms": at_ms + after_ms, "took_ms": 37,
         "outcome": outcome, "reason": why}
        for after_ms, outcome, why in attempts
    ])  # fmt: skip

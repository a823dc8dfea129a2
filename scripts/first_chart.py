"""Count the time from `make demo` in a clean clone to the first chart, as a newcomer lives it.

    .venv/bin/python scripts/first_chart.py [--clone DIR]

Clones HEAD into a new folder, runs `./dev demo` there in a new virtual environment, logs in, and
asks the dashboard for the office's month until it has figures. Ends the demo again.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
DASHBOARD = "http://localhost:8000"
WAIT_S_MAX = 1200.0
BUCKETS = 100  # quarter-hours of one day and a bit: a chart that says something


def main() -> None:
    """Print the seconds to each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clone", type=Path, help="where to; else a temporary folder")
    with tempfile.TemporaryDirectory(prefix="kilowatch-first-chart-") as folder:
        clone = parser.parse_args().clone or Path(folder) / "kilowatch"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        began = time.monotonic()
        demo = subprocess.Popen(["./dev", "demo"], cwd=clone, start_new_session=True)
        try:
            client = httpx.Client(base_url=DASHBOARD, follow_redirects=True, trust_env=False)
            _until(lambda: _serves(client))
            print(f"dashboard after {time.monotonic() - began:.0f} s")
            _log_in(client, json.loads((clone / "kilowatch-demo" / "demo.json").read_text()))
            _until(lambda: _buckets(client) >= BUCKETS)
            print(f"first chart after {time.monotonic() - began:.0f} s")
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(60)


def _until(true: Any) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit("There was no chart in time.")
        time.sleep(0.5)


def _serves(client: httpx.Client) -> bool:
    try:
        return client.get("/login").status_code == 200
    except httpx.TransportError:
        return False


def _log_in(client: httpx.Client, kept: dict[str, str]) -> None:
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    form = {"email": "demo@example.com", "password": kept["dashboard_password"]}
    client.post("/login", data={**form, "csrf": token[1], "next": "/"}).raise_for_status()


def _buckets(client: httpx.Client) -> int:
    answer = client.get(
        "/data/series", params={"point": "1", "period": "month", "grain": "interval"}
    )
    channels = answer.json().get("channels") if answer.status_code == 200 else None
    return max((len(channel["start_ms"]) for channel in channels or []), default=0)


if __name__ == "__main__":
    main()

"""A weather file becomes a data point of the real program, and the site's outdoor temperature."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.client.test_weather_files import epw
from tests.journeys.pushing import startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.waiting import until

pytestmark = pytest.mark.journey


def test_an_epw_is_put_into_history_and_counts_once(server: Server, tmp_path: Path) -> None:
    """A look changes nothing; then each hour stands where it was measured, however often."""
    startup_package(server.data)
    (site,) = json.loads(kilowatch("site", "list", "--json", data=server.data))
    kilowatch("site", "set", site["name"], "--rename", "Office", data=server.data)
    file = tmp_path / "dublin.epw"
    file.write_bytes(
        epw([(2025, 7, day, hour, 60, day + hour / 100) for day in (1, 2) for hour in range(1, 25)])
    )
    command = ("weather", "import", str(file), "--site", "Office")
    before = json.loads(kilowatch("data-point", "list", "--json", data=server.data))
    looked = kilowatch(*command, "--dry-run", data=server.data)
    assert "48 temperatures, every 60 min, from 2025-07-01" in looked
    assert "Nothing was changed" in looked
    assert json.loads(kilowatch("data-point", "list", "--json", data=server.data)) == before

    said = kilowatch(*command, data=server.data)
    assert "48 temperatures are in Outdoor temperature" in said
    told = json.loads(kilowatch("site", "weather", "Office", "--json", data=server.data))
    stream = told["temperature"]
    assert stream.startswith("weather-office")

    def mean(at: str) -> float | None:
        printed = kilowatch("explain", stream, at, "--json", data=server.data)
        rows = json.loads(printed)["intervals"]
        return rows[0]["mean"] if rows else None

    until(lambda: mean("2025-07-02T23:30+00:00") == pytest.approx(2.24), 60, "the last hour")
    assert mean("2025-07-01T00:30+00:00") == pytest.approx(1.01), "hour 1 begins at midnight"

    again = kilowatch(*command, data=server.data)
    assert "Registered" not in again
    assert mean("2025-07-01T00:30+00:00") == pytest.approx(1.01)
    story = json.loads(kilowatch("history", "show", stream, "--json", data=server.data))
    assert story["conflicts"] == []
    assert "weather file dublin.epw" in {run["reason"] for run in story["runs"]}

"""Local days, weeks, months and intervals, in time zones where that is hard."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from kilowatch.model.calendar import (
    Grain,
    Zone,
    bucket_edges_ms,
    bucket_end_ms,
    bucket_start_ms,
    day_start_ms,
    grain_end_ms,
    grain_start_ms,
)
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.points import MONTH_S
from kilowatch.model.zones import zone_names

# The variant in plain Python, which shows its table of changes.
plain_zoneinfo = import_module("zoneinfo._zoneinfo")

HARD_ZONES = (
    "Europe/Dublin",  # +0 and +1
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",  # half-hour zone; until 2011 clocks changed at one minute past midnight
    "America/Sao_Paulo",  # changed at midnight, until 2019
    "Asia/Beirut",  # changes at midnight
    "Asia/Kathmandu",  # 5 h 45 min
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # changes by half an hour
    "Pacific/Apia",  # skipped 2011-12-30
    "Pacific/Chatham",  # 12 h 45 min, changes at 02:45
    "Africa/Casablanca",  # back for Ramadan
    "Africa/Monrovia",  # until 1972 44 min 30 s behind UTC
    "UTC",
)
HOUR_MS = 3_600_000
INTERVALS_S = (1, 60, 300, 420, 900, 1800, 3600, 7200, 10_800, 43_200, 50_000)
GRAINS: tuple[Grain, ...] = (
    *INTERVALS_S,
    *("hour", "day", "week", "month", "year"),
    2 * 86_400,
    30 * 86_400,
    MONTH_S,
)
FIRST_MS, LAST_MS = 31_536_000_000, 4_070_908_800_000  # 1971 to 2099


def ms(text: str) -> int:
    """Return an ISO 8601 time (UTC where it has no offset) in milliseconds."""
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1000)


@st.composite
def instants_near_changes(draw: st.DrawFn) -> tuple[Zone, int]:
    """Draw a zone, and an instant: three times of four within hours of a change of its clock."""
    zone = Zone.of(draw(st.sampled_from(HARD_ZONES)))
    changes = zone.segment_start_ms[1:-1]
    changes = changes[(changes > FIRST_MS) & (changes < LAST_MS)]
    if len(changes) and draw(st.integers(0, 3)):
        near = int(changes[draw(st.integers(0, len(changes) - 1))])
        return zone, near + draw(st.integers(-4 * HOUR_MS, 4 * HOUR_MS) | st.just(0) | st.just(-1))
    return zone, draw(st.integers(FIRST_MS, LAST_MS))


def change_within(zone: Zone, start_ms: int, end_ms: int) -> bool:
    """Tell whether the clock changes inside a period or at its start."""
    changes = zone.segment_start_ms[1:-1]
    return bool(((changes >= start_ms) & (changes < end_ms)).any())


@settings(max_examples=400, deadline=None)
@given(instants_near_changes())
def test_the_offset_is_the_one_that_the_zone_database_gives(where: tuple[Zone, int]) -> None:
    """The site's clock on our pages is the clock on its wall, in summer and winter."""
    zone, at_ms = where
    # Not the operating system's zones: those of this machine may be years old.
    with files("tzdata").joinpath("zoneinfo", *zone.name.split("/")).open("rb") as file:
        truth = ZoneInfo.from_file(file)
    local = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(truth)
    offset = local.utcoffset()
    assert offset is not None
    assert int(zone.offsets_ms([at_ms])[0]) == round(offset.total_seconds() * 1000)


def test_no_zone_changes_twice_within_the_step_that_looks_for_changes() -> None:
    """No clock change is overlooked: the closest two in the database are a week apart."""
    closest_s = []
    for name in sorted(zone_names()):
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
            zone = plain_zoneinfo.ZoneInfo.from_file(file)
        infos = zip(zone._trans_utc, zone._ttinfos, strict=True)
        offsets = [(at, info.utcoff) for at, info in infos if at >= 0]
        changes = [after[0] for before, after in pairwise(offsets) if after[1] != before[1]]
        closest_s += [b - a for a, b in pairwise(changes)]
    assert len(zone_names()) > 500
    assert min(closest_s) > 2 * 3 * 86_400


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "", "europe/dublin"])
def test_a_zone_that_does_not_exist_is_refused(name: str) -> None:
    """A typing error in a site's time zone is told at once, with an example."""
    with pytest.raises(ValueError, match="IANA time zone"):
        Zone.of(name)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Dublin", "2025-03-30", 23),
        ("Europe/Dublin", "2025-10-26", 25),
        ("Europe/Dublin", "2024-02-29", 24),
        ("America/New_York", "2025-11-02", 25),
        ("Australia/Lord_Howe", "2025-04-06", 24.5),
        ("Australia/Lord_Howe", "2025-10-05", 23.5),
        ("America/Sao_Paulo", "2018-11-04", 23),  # midnight was skipped: the day began at 01:00
        ("America/Sao_Paulo", "2018-02-17", 25),  # 23:00 came twice
        ("Asia/Beirut", "2025-03-30", 23),
        ("America/St_Johns", "2010-11-07", 25),  # one minute past midnight became 23:01
        ("Pacific/Chatham", "2025-09-28", 23),
        ("Pacific/Apia", "2011-12-30", 0),  # skipped altogether
        ("Pacific/Apia", "2011-12-31", 24),
    ],
)
def test_a_local_day_has_as_many_quarters_as_its_clock_showed(
    zone: str, day: str, hours: float
) -> None:
    """92, 96 or 100 quarter-hours, and the odd cases that bills and charts must survive."""
    where, today = Zone.of(zone), date.fromisoformat(day)
    start, end = day_start_ms(today, where), day_start_ms(today + timedelta(1), where)
    assert (end - start) / HOUR_MS == hours
    if hours:
        quarters = bucket_edges_ms(start, end, 900, where)
        cut = 1 if zone == "America/St_Johns" else 0  # 00:00 to 00:01 and 23:01 to 23:15
        assert len(quarters) - 1 == hours * 4 + cut
        assert (int(quarters[0]), int(quarters[-1])) == (start, end)


def test_the_skipped_hour_has_no_row_and_the_repeated_one_has_two() -> None:
    """Berlin: on the last Sunday of March 02:00 is missing, in October it comes twice."""
    zone = Zone.of("Europe/Berlin")
    spring = bucket_edges_ms(ms("2025-03-29T23:00"), ms("2025-03-30T22:00"), "hour", zone)
    autumn = bucket_edges_ms(ms("2025-10-25T22:00"), ms("2025-10-26T23:00"), "hour", zone)
    shown = [(zone.local_ms(edges[:-1]) // HOUR_MS % 24).tolist() for edges in (spring, autumn)]
    assert shown[0][:4] == [0, 1, 3, 4]
    assert shown[1][:5] == [0, 1, 2, 2, 3]
    assert (len(shown[0]), len(shown[1])) == (23, 25)


def test_two_hour_intervals_stay_on_even_hours_all_year() -> None:
    """Only the interval that the clock change falls into is cut; the rest of the day is usual."""
    zone = Zone.of("Europe/Berlin")
    day = date(2025, 3, 30)
    edges = bucket_edges_ms(
        day_start_ms(day, zone), day_start_ms(day + timedelta(1), zone), 7200, zone
    )
    assert (np.diff(edges) / HOUR_MS).tolist() == [2, 1, *([2] * 10)]
    assert (zone.local_ms(edges[:-1]) // HOUR_MS % 24).tolist() == [0, 3, *range(4, 24, 2)]


def test_the_two_hour_interval_of_autumn_is_cut_where_the_clock_goes_back() -> None:
    """02:00 comes twice in Berlin: one hour of it before the change, two from the change on."""
    zone = Zone.of("Europe/Berlin")
    day = date(2025, 10, 26)
    edges = bucket_edges_ms(
        day_start_ms(day, zone), day_start_ms(day + timedelta(1), zone), 7200, zone
    )
    assert (np.diff(edges) / HOUR_MS).tolist() == [2, 1, *([2] * 11)]
    assert (zone.local_ms(edges[:-1]) // HOUR_MS % 24).tolist() == [0, 2, *range(2, 24, 2)]


def test_an_interval_that_does_not_divide_the_day_starts_anew_at_midnight() -> None:
    """Seven-minute packets: 205 full intervals, then one of five minutes until midnight."""
    zone = Zone.of("Asia/Kolkata")
    start = day_start_ms(date(2025, 6, 1), zone)
    edges = bucket_edges_ms(start, start + DAY_MS, 420, zone)
    assert len(edges) == 207
    assert int(edges[-1] - edges[-2]) == 5 * 60_000


def test_half_hour_zones_have_their_hours_on_the_local_clock() -> None:
    """In Kathmandu (5 h 45 min) the hour from 09:00 starts at 03:15 UTC."""
    zone = Zone.of("Asia/Kathmandu")
    assert bucket_start_ms([ms("2025-01-01T03:40")], 3600, zone).tolist() == [
        ms("2025-01-01T03:15")
    ]


@pytest.mark.parametrize(
    ("grain", "start", "end"),
    [
        ("week", "2024-02-26T00:00+00:00", "2024-03-04T00:00+00:00"),
        (7 * 86_400, "2024-02-26T00:00+00:00", "2024-03-04T00:00+00:00"),
        ("month", "2024-02-01T00:00+00:00", "2024-03-01T00:00+00:00"),
        (MONTH_S, "2024-02-01T00:00+00:00", "2024-03-01T00:00+00:00"),
        ("year", "2024-01-01T00:00+00:00", "2025-01-01T00:00+00:00"),
        ("day", "2024-02-29T00:00+00:00", "2024-03-01T00:00+00:00"),
    ],
)
def test_weeks_start_on_monday_and_months_on_the_first(grain: Grain, start: str, end: str) -> None:
    """The leap day of 2024 in Dublin lies in the periods that a calendar on the wall shows."""
    zone, at = Zone.of("Europe/Dublin"), [ms("2024-02-29T13:00")]
    assert grain_start_ms(at, grain, zone).tolist() == [ms(start)]
    assert grain_end_ms(at, grain, zone).tolist() == [ms(end)]


def test_an_unknown_length_of_buckets_is_refused() -> None:
    """A misspelt word in a link is an error, not an empty chart."""
    with pytest.raises(ValueError, match="fortnight"):
        grain_start_ms([0], "fortnight", Zone.of("UTC"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="too short"):
        bucket_start_ms([0], 0, Zone.of("UTC"))
    with pytest.raises(ValueError, match="empty"):
        bucket_edges_ms(5, 5, "day", Zone.of("UTC"))


def test_buckets_tile_time_without_overlap_or_hole() -> None:
    """Every instant lies in one bucket, which begins where the last one ended."""
    seen: Counter[str] = Counter()

    @settings(max_examples=600, deadline=None)
    @given(instants_near_changes(), st.sampled_from(GRAINS))
    def holds(where: tuple[Zone, int], grain: Grain) -> None:
        zone, at_ms = where
        start, end = (int(f([at_ms], grain, zone)[0]) for f in (grain_start_ms, grain_end_ms))
        assert start <= at_ms < end
        assert grain_start_ms([start, end - 1, end], grain, zone).tolist() == [start, start, end]
        assert int(grain_end_ms([start - 1], grain, zone)[0]) == start
        if change_within(zone, start, end):
            event("a clock change in the bucket or at its start")
            seen["change"] += 1
        seen[zone.name] += 1

    holds()
    assert seen["change"] > 60
    assert all(seen[zone] > 5 for zone in HARD_ZONES)


def test_short_intervals_begin_on_the_wall_clock_or_at_its_change() -> None:
    """15-minute intervals start at :00, :15, :30, :45 on the site's clock, in every zone."""
    seen: Counter[str] = Counter()

    @settings(max_examples=600, deadline=None)
    @given(instants_near_changes(), st.sampled_from(INTERVALS_S))
    def holds(where: tuple[Zone, int], interval_s: int) -> None:
        zone, at_ms = where
        start = int(bucket_start_ms([at_ms], interval_s, zone)[0])
        since_midnight_s = int(zone.local_ms([start])[0]) % DAY_MS / 1000
        at_change = start in zone.segment_start_ms
        assert at_change or since_midnight_s % interval_s == 0
        seen["change" if at_change else "wall"] += 1
        seen["odd"] += at_change and since_midnight_s % interval_s != 0

    holds()
    assert seen["change"] > 20
    assert seen["wall"] > 100
    assert seen["odd"] > 0


@settings(max_examples=150, deadline=None)
@given(instants_near_changes(), st.sampled_from(GRAINS), st.integers(1, 50))
def test_the_edges_of_a_period_are_the_starts_of_its_buckets(
    where: tuple[Zone, int], grain: Grain, hours: int
) -> None:
    """A chart's axis has one place for each bucket of the period, and no other."""
    zone, from_ms = where
    if grain == 1:
        hours = 1
    to_ms = from_ms + hours * HOUR_MS
    edges = bucket_edges_ms(from_ms, to_ms, grain, zone)
    expected = [int(grain_start_ms([from_ms], grain, zone)[0])]
    while expected[-1] < to_ms:
        expected.append(int(grain_end_ms([expected[-1]], grain, zone)[0]))
    assert edges.tolist() == expected


@settings(max_examples=300, deadline=None)
@given(st.lists(instants_near_changes(), min_size=1, max_size=5), st.sampled_from(INTERVALS_S))
def test_intervals_of_many_lengths_are_found_in_one_pass(
    places: list[tuple[Zone, int]], interval_s: int
) -> None:
    """A batch mixes data points of 1 s, 15 min, a day and a month: each gets its own."""
    zone = places[0][0]
    at = np.array([at_ms for _, at_ms in places])
    lengths = np.array([(interval_s, 86_400, MONTH_S, 900, 604_800)[i] for i in range(len(at))])
    singly = [int(bucket_end_ms([t], int(s), zone)[0]) for t, s in zip(at, lengths, strict=True)]
    assert bucket_end_ms(at, lengths, zone).tolist() == singly


def test_local_times_become_the_first_instant_that_shows_them() -> None:
    """02:30 in Berlin: usual, twice (the first counts), and never (the clock change)."""
    zone = Zone.of("Europe/Berlin")
    local = [ms(f"{day}T02:30") for day in ("2025-06-01", "2025-10-26", "2025-03-30")]
    found = zone.wall_to_instant_ms(local)
    assert found.at_ms.tolist() == [
        ms("2025-06-01T02:30+02:00"),
        ms("2025-10-26T02:30+02:00"),
        ms("2025-03-30T01:00+00:00"),
    ]
    assert found.ambiguous.tolist() == [False, True, False]
    assert found.nonexistent.tolist() == [False, False, True]


def test_reading_the_wall_clock_is_the_inverse_of_showing_it() -> None:
    """What a meter's display showed leads back to the instant, but for the repeated hour."""
    seen: Counter[str] = Counter()

    @settings(max_examples=500, deadline=None)
    @given(instants_near_changes())
    def holds(where: tuple[Zone, int]) -> None:
        zone, at_ms = where
        local = int(zone.local_ms([at_ms])[0])
        found = zone.wall_to_instant_ms([local])
        assert not found.nonexistent[0]
        assert int(zone.local_ms(found.at_ms)[0]) == local
        if found.ambiguous[0]:
            assert found.at_ms[0] <= at_ms
        else:
            assert found.at_ms[0] == at_ms
        seen["twice"] += bool(found.ambiguous[0])
        seen["again"] += bool(found.at_ms[0] < at_ms)

    holds()
    assert seen["twice"] > 15
    assert seen["again"] > 5


@settings(max_examples=300, deadline=None)
@given(instants_near_changes(), st.integers(1, 5 * HOUR_MS))
def test_rising_local_times_never_become_falling_instants(
    where: tuple[Zone, int], later_ms: int
) -> None:
    """A meter without summer time, read on the wall clock, still has its packets in order."""
    zone, at_ms = where
    local = int(zone.local_ms([at_ms])[0])
    at = zone.wall_to_instant_ms([local - HOUR_MS, local, local + later_ms]).at_ms
    assert (np.diff(at) >= 0).all()


def test_days_are_numbered_without_gap_and_never_run_backwards() -> None:
    """From 1970 to 2110 every zone has every date once, a skipped one with no length."""
    for name in HARD_ZONES:
        zone = Zone.of(name)
        lengths = np.diff(zone.day_starts_ms) / HOUR_MS
        assert lengths.min() >= (0 if name == "Pacific/Apia" else 22)  # St. John's, 1988
        assert lengths.max() <= 26
        assert (lengths == 0).sum() == (name == "Pacific/Apia")

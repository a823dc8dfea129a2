"""The directory of a hundred thousand data points fits the collector's memory and its patience."""

from __future__ import annotations

import gc
import time
import tracemalloc

import pytest
from sqlalchemy import insert

from kilowatch import catalog
from kilowatch.catalog import credentials, registry, reshaping, startup
from kilowatch.catalog.directory import load
from kilowatch.catalog.reshaping import SiteDraft
from kilowatch.catalog.tables import DataPoint

COUNT = 100_000
LOAD_S_MAX = 8.0  # promised: 2 s on an idle machine; tests share theirs with others
MEMORY_MB_MAX = 64


@pytest.mark.slow
def test_a_hundred_thousand_data_points_load_quickly_and_stay_small(
    opened: catalog.Catalog, actor: catalog.Actor
) -> None:
    """A utility's worth of meters is known to the push path within seconds of a change."""
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        site = registry.add_site(change, acme, "Office", zone="Europe/Dublin")
        meter = registry.add_meter(change, site, "Meter")
        first = change.next_series(COUNT)
        change.session.execute(
            insert(DataPoint),
            [
                {
                    "organisation_id": acme.id, "site_id": site.id, "meter_id": meter.id,
                    "stream_id": f"electricity-{series:016d}", "series": series,
                    "name": f"Circuit {series}", "kind": "electrical", "utility": "electricity",
                    "unit": "Wh", "interval_s": 300, "behaviour": "register",
                    "created_at_ms": change.now_ms,
                }
                for series in range(first, first + COUNT)
            ],
        )  # fmt: skip
    load(opened, "development")
    started = time.thread_time()
    load(opened, "development")
    took_s = time.thread_time() - started
    gc.collect()
    tracemalloc.start()
    directory = load(opened, "development")
    gc.collect()
    size_mb = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    assert len(directory.points) == COUNT
    assert took_s < LOAD_S_MAX
    assert size_mb < MEMORY_MB_MAX
    print(f"{COUNT:,} data points: {took_s:.2f} s, {size_mb:.0f} MB")  # noqa: T201


def test_data_points_are_taken_over_while_none_has_changed(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor
) -> None:
    """Revoking one of 10,000 credentials must not wait until 100,000 data points are read."""
    with opened.change(actor) as change:
        made = startup.make(change, key, "Acme", "ann@example.com", startup.Wishes())
    first = load(opened, "development")
    with opened.change(actor) as change:
        credentials.revoke(change, made.issued.credential.username)
    second = load(opened, "development", first)
    assert second.streams is first.streams
    assert second.credential(made.issued.credential.username) is None
    with opened.change(actor) as change:
        reshaping.change_site(change, made.site, SiteDraft("A", "Europe/Paris", "FR"))
    third = load(opened, "development", second)
    assert {point.zone for point in third.points.values()} == {"Europe/Paris"}
    assert load(opened, "production", third).streams is not third.streams

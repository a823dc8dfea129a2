"""Data of a meter: for whose plan has Breakdown, and for nobody who does not see the meter."""

from __future__ import annotations

import numpy as np
import pytest

from kilowatch.api.declaring import Resource
from kilowatch.api.resources import RESOURCES
from kilowatch.model.blocks import Quality
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import AP
from tests.api.api_world import PARTIAL, PLANNED, Served
from tests.api.test_isolation import asked, named
from tests.dashboard.worlds import VIEWER

WITH_TOOL = [one for one in RESOURCES if one.tool not in ("", "admin")]
QUALITIES = ("derived", "edited", "estimated", "questionable")


@pytest.mark.parametrize("resource", WITH_TOOL, ids=named)
def test_who_has_no_plan_for_a_page_has_none_for_its_figures(
    served: Served, resource: Resource
) -> None:
    """What the page answers 403 is 403 here; what is not seen stays 404."""
    address = asked(served, resource)
    answer = served.get(address, PLANNED)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_in_plan")
    assert served.get(address, VIEWER).status_code == 200, "a viewer sees the same on pages"
    seen = 404 if "{id}" in resource.path else 200
    assert served.get(address, PARTIAL).status_code == seen


def test_who_sees_one_meter_reads_its_data(served: Served) -> None:
    """A grant of one data point opens its figures."""
    own = served.point("hvac")
    rows = served.get(f"/meters/{own}/raw_data?from=2026-11-08&to=2026-11-08", PARTIAL)
    assert len(rows.json()) == 288
    assert served.get(f"/meters/{own}/costs?month=11&year=2026", PARTIAL).status_code == 200


def test_a_row_says_where_it_is_not_plainly_measured(own: Served) -> None:
    """An estimate, a correction or a doubt travels with the number; the worst of its channels."""
    rows = own.world.view.rows[own.world.point("hvac").series]
    starts = np.unique(rows.start_ms[rows.channel == AP])[-4:]
    for at_ms, quality in zip(starts.tolist(), QUALITIES, strict=True):
        rows.quality[(rows.start_ms == at_ms) & (rows.channel == AP)] = Quality[quality.upper()]
    day = "from=2026-11-09&to=2026-11-09"
    told = own.get(f"/meters/{own.point('hvac')}/raw_data?{day}").json()
    assert [one.get("quality") for one in told[-5:]] == [None, *QUALITIES]


@pytest.mark.parametrize("resource", WITH_TOOL, ids=named)
def test_while_the_store_opens_figures_are_not_there_yet(
    served: Served, monkeypatch: pytest.MonkeyPatch, resource: Resource
) -> None:
    """503 with a time to wait: an empty answer would be taken for no use. Lists go on."""
    monkeypatch.setattr(served.world.view, "busy", lambda: "the store opens")
    answer = served.get(asked(served, resource))
    if resource.path == "/events":
        assert answer.status_code == 200, "they are kept elsewhere"
        return
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    told = answer.json()
    assert told["code"] == "store_busy"
    assert told["detail"] == "Measurements can't be read yet: the store opens."
    assert served.get("/meters").status_code == 200


def test_a_query_that_meets_a_limit_of_the_store_is_told_so(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the store refuses is passed on, with a time to come again."""

    def busy(*_args: object) -> None:
        raise KilowatchError("store_busy", "A query took too long.", status=503, retry_helps=True)

    monkeypatch.setattr(served.world.view, "series", busy)
    answer = served.get(f"/meters/{served.point('main')}/consumptions?month=11&year=2026")
    assert (answer.status_code, answer.json()["detail"]) == (503, "A query took too long.")

"""What the API needs of the rooms that it is given, and no more than that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kilowatch.catalog.database import Catalog
from kilowatch.catalog.directory import Directory
from kilowatch.catalog.rights import Person
from kilowatch.catalog.tree import OrganisationNode
from kilowatch.exports.slots import Rate
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.insight import Expected, InsightEvent, Outlook, WasteHours
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.pipeline.answers import Grain

REQUESTS, REQUESTS_WITHIN_S = 600, 60.0
"""Of a token: ten a second on average is a month of an estate within its night."""
FAILURES, FAILURES_WITHIN_S = 30, 600.0
"""Of a network address, with tokens that open nothing: as for links to exports."""


class Registry(Protocol):
    """The catalogue as a snapshot: ``kilowatch.dashboard.registry.Registry``. Called in threads."""

    @property
    def catalog(self) -> Catalog: ...  # noqa: D102
    def directory(self) -> Directory: ...  # noqa: D102
    def tree(self, who: Person) -> list[OrganisationNode]: ...  # noqa: D102
    def facts(self) -> Mapping[int, SiteFacts]: ...  # noqa: D102
    def fed_by(self, points: Iterable[DataPoint]) -> dict[int, int | None]: ...  # noqa: D102


class View(Protocol):
    """The measurements: ``kilowatch.pipeline.view.View``. Called in threads.

    Raises:
        KilowatchError: 503 ``store_busy`` while the store opens or a query takes too long.
    """

    def busy(self) -> str: ...  # noqa: D102
    def channels(self, point: DataPoint) -> list[int]: ...  # noqa: D102
    def series(  # noqa: D102
        self, point: DataPoint, channels: Sequence[int], from_ms: int, to_ms: int, grain: Grain
    ) -> IntervalBlock: ...
    def last_seen(self, series: Iterable[int]) -> Mapping[int, int]: ...  # noqa: D102


class Insights(Protocol):
    """What was found out about use: ``kilowatch.pipeline.insight.view.InsightView``."""

    def events(  # noqa: D102
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int
    ) -> Mapping[int, tuple[InsightEvent, ...]]: ...
    def expected(self, point: DataPoint, from_ms: int, to_ms: int) -> Expected: ...  # noqa: D102
    def outlook(self, point: DataPoint) -> Outlook | None: ...  # noqa: D102


Wasted = Callable[[Sequence[DataPoint], int, int], WasteHours]
"""Returns the wasted hours that start in [from_ms, to_ms), without what people called expected."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How often something may be asked.

    Attributes:
        requests: Of each token.
        failures: With tokens that open nothing, of each network address.
        worked: Which tokens have opened something of late, by a digest: a wrong one of another
            program at the same address does not keep them out.
    """

    requests: Rate = field(default_factory=lambda: Rate(REQUESTS, REQUESTS_WITHIN_S))
    failures: Rate = field(default_factory=lambda: Rate(FAILURES, FAILURES_WITHIN_S))
    worked: Rate = field(default_factory=lambda: Rate(1, FAILURES_WITHIN_S))


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything that an answer is made from.

    Attributes:
        registry: Who owns what, and who may see it.
        view: Measurements.
        server_key: With which tokens are digested.
        clock: What time it is [ms since 1970, UTC].
        insights: What was found out about use.
        wasted: Waste as the page has it.
        limits: How often something may be asked.
    """

    registry: Registry
    view: View
    server_key: bytes = field(repr=False)
    clock: Callable[[], int]
    insights: Insights
    wasted: Wasted
    limits: Limits = field(default_factory=Limits)

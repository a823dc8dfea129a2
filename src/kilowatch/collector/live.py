"""The live view of requests: what came in a moment ago, for the person who connects a meter.

On the push path an event costs one tuple; words are found later, when somebody looks.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import structlog

from kilowatch.catalog.directory import Directory
from kilowatch.collector import remedies
from kilowatch.collector.answers import Answer
from kilowatch.collector.neighbours import Neighbours
from kilowatch.collector.settings import Environment
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint

log = structlog.get_logger(__name__)

RECENT_MAX = 2_000
REFUSED_PER_ORGANISATION = 50
ORGANISATIONS_MAX = 1_000
"""A tenant that pushes 10,000 packets/s turns the ring over in 0.2 s; the last refusals of each
organisation are kept apart, so that they are still there when its integrator looks."""
EXCERPT_BYTES_MAX = 2_048


@dataclass(frozen=True, slots=True)
class Refused:
    """What is needed to explain a refusal later; never a password.

    Attributes:
        error: Why.
        username: As sent, empty for none.
        body: The first bytes of the body.
        organisation_id: Whose integrator should see it, None if nobody can tell.
    """

    error: KilowatchError
    username: str
    body: bytes
    organisation_id: int | None


Event = tuple[int, Answer, str, str, str, bool, int, str, DataPoint | None, Refused | None]
"""received_ms, answer, method, path, remote, tls, bytes, username, data point, refusal."""


class LiveView:
    """The last requests, newest last.

    Args:
        environment: Which is told with each event.
        directory: Returns the snapshot in force.
        push_url: Returns the address for corrected examples: told whether the request that is
            corrected came over TLS, so that the line works where the first one did.
    """

    def __init__(
        self,
        environment: Environment,
        directory: Callable[[], Directory],
        push_url: Callable[[bool], str],
    ) -> None:
        self._environment = environment
        self._directory = directory
        self._push_url = push_url
        self._neighbours = Neighbours()
        self.recent: deque[Event] = deque(maxlen=RECENT_MAX)
        self.total = 0
        self._refused: OrderedDict[int, deque[Event]] = OrderedDict()

    def add(self, event: Event) -> None:
        """Note one answered request."""
        self.recent.append(event)
        self.total += 1
        refused = event[9]
        if refused is not None and refused.organisation_id is not None:
            ring = self._refused.get(refused.organisation_id)
            if ring is None:
                ring = deque(maxlen=REFUSED_PER_ORGANISATION)
                self._refused[refused.organisation_id] = ring
                if len(self._refused) > ORGANISATIONS_MAX:
                    self._refused.popitem(last=False)
            ring.append(event)

    def since(self, total: int, limit: int) -> Iterator[dict[str, Any]]:
        """Return what came after the first ``total`` requests: refusals first, then newest.

        Args:
            total: What ``self.total`` was at the last call.
            limit: At most so many; the rest is not shown.
        """
        fresh = min(self.total - total, len(self.recent))
        events = list(islice(reversed(self.recent), fresh))
        events.sort(key=lambda event: event[9] is None)
        chosen = sorted(events[:limit], key=lambda event: event[0])
        return (self.describe(event) for event in chosen)

    def last(self, organisation_id: int | None, limit: int) -> list[dict[str, Any]]:
        """Return the last requests, newest first.

        Args:
            organisation_id: Only those of this organisation; None for all.
            limit: At most so many.
        """
        events = list(self.recent)
        if organisation_id is not None:
            shown = {id(event) for event in events}
            older = self._refused.get(organisation_id, ())
            events += [event for event in older if id(event) not in shown]
            events.sort(key=lambda event: event[0])
        found = (
            event
            for event in reversed(events)
            if organisation_id is None or _organisation(event) == organisation_id
        )
        return [self.describe(event) for event in islice(found, limit)]

    def describe(self, event: Event) -> dict[str, Any]:
        """Return an event in words, as platform and commands get it."""
        at_ms, answer, method, path, remote, tls, size, username, point, refused = event
        said: dict[str, Any] = {
            "at_ms": at_ms,
            "organization_id": _organisation(event),
            "series": point.series if point else None,
            "stream_id": point.stream_id if point else None,
            "remote": remote,
            "method": method,
            "path": path,
            "username": username,
            "status": answer.status,
            "outcome": answer.code if refused is None else "refused",
            "code": answer.code,
            "detail": "",
            "remedy": "",
            "bytes": size,
            "secure": tls,
            "environment": self._environment,
        }
        if answer.code == "discarded":
            said["detail"] = _discarded(answer)
        if refused is not None:
            named = refused.error.data.get("stream_id") or stream_in(refused.body) or None
            said["stream_id"] = said["stream_id"] or named
            said["detail"] = refused.error.detail
            said["remedy"] = self._remedy(refused, path, username, tls)
        return said

    def _remedy(self, refused: Refused, path: str, username: str, tls: bool) -> str:  # noqa: FBT001
        """Say what to change; a body that we can't make sense of blinds nobody's view."""
        try:
            return remedies.remedy(
                refused.error,
                refused.body,
                path=path,
                username=username,
                organisation_id=refused.organisation_id,
                directory=self._directory(),
                neighbours=self._neighbours,
                push_url=self._push_url(tls),
            )
        except Exception:
            log.exception("no remedy was found", code=refused.error.code)
            return refused.error.remedy


def _discarded(answer: Answer) -> str:
    """Say why a packet was discarded, from what its sender was answered."""
    latest = json.loads(answer.body).get("latest", "")
    return f"Not after the stream's latest packet, {latest}. It is kept under Attributes."


def _organisation(event: Event) -> int | None:
    point, refused = event[8], event[9]
    if point is not None:
        return point.organisation_id
    return refused.organisation_id if refused else None


_STREAM_ID = re.compile(rb'"id"\s*:\s*"([^"\\\\]{1,200})"')


def stream_in(body: bytes) -> str:
    """Return the stream that a packet seems to name, before anybody has read it properly."""
    found = _STREAM_ID.search(body[:EXCERPT_BYTES_MAX])
    return found[1].decode("utf-8", "replace") if found else ""

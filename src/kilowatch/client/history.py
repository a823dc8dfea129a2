"""What a person on the server puts into history, asked of the collector on its Unix socket.

Pages and commands use it: only the collector writes the log. Everything here may be asked again
after a fault; each reading is counted once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import httpx

from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form

PACKETS_AT_A_TIME = 500
"""Half of what the collector takes in one request; live packets ride on the same commits."""
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class PutIn:
    """What became of packets that were put into history.

    Attributes:
        backfilled: In the log, not after the latest packet of their stream.
        accepted: Ordinary packets after all: they were after the latest one.
        duplicate: The latest packet again.
        last_seq: Largest log sequence number among them; figures follow when the pipeline is
            past it.
    """

    backfilled: int = 0
    accepted: int = 0
    duplicate: int = 0
    last_seq: int = 0

    def __add__(self, other: PutIn) -> PutIn:
        return PutIn(
            self.backfilled + other.backfilled,
            self.accepted + other.accepted,
            self.duplicate + other.duplicate,
            max(self.last_seq, other.last_seq),
        )

    @property
    def packets(self) -> int:
        """How many there were."""
        return self.backfilled + self.accepted + self.duplicate


class HistoryDesk:
    """Puts packets into history, dismisses kept ones, writes decisions; from any thread.

    Args:
        socket: The collector's Unix socket.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def put_in_kept(
        self, series: int, ids: Sequence[int] | None, actor: str, reason: str = ""
    ) -> PutIn:
        """Put discarded packets into history; they leave the kept list in the same commit.

        Args:
            series: Key of the data stream.
            ids: Numbers of kept packets; None for all that are discarded.
            actor: Who asks, for the history.
            reason: Why, for the history.

        Raises:
            KilowatchError: ``not_running``, or 503 ``overloaded`` or ``not_durable``: what was
                not put in is still kept.
        """
        asked = {"series": series, "actor": actor, "reason": reason}
        done = PutIn()
        if ids is not None:
            for some in _chunks(ids):
                done += _counted(self._ask("/history/kept", asked | {"ids": some}))
            return done
        more = True
        while more:
            answer = self._ask("/history/kept", asked)
            done += _counted(answer)
            more = answer["more"]
        return done

    def put_in(
        self,
        series: int,
        packets: Iterable[tuple[bytes, Form]],
        actor: str,
        reason: str = "",
        source: Literal["import", "decision"] = "import",
    ) -> PutIn:
        """Put packets that a person brought, or decided for, into history.

        Args:
            series: Key of the data stream that all of them belong to.
            packets: Bodies and how they are read; taken some hundred at a time.
            actor: Who asks, for the history.
            reason: Why, for the history.
            source: ``decision`` lets the packets count at their instants whatever is stored.

        Raises:
            KilowatchError: As of ``put_in_kept``; or 400 as of a push, with the packet's
                ``number`` in its data, counted from 0.
        """
        asked = {"series": series, "actor": actor, "reason": reason, "source": source}
        done = PutIn()
        for some in _chunks(packets):
            bodies = [
                {"body": body.decode("utf-8", "replace"), "form": form.name.lower()}
                for body, form in some
            ]
            try:
                done += _counted(self._ask("/history/packets", asked | {"packets": bodies}))
            except KilowatchError as error:
                if "number" in error.data:
                    error.data["number"] += done.packets
                raise
        return done

    def dismiss(self, series: int, ids: Sequence[int] | None) -> None:
        """Delete kept packets: those named, or all that were discarded; durable on return.

        Raises:
            KilowatchError: As of ``put_in_kept``.
        """
        self._ask("/history/dismiss", {"series": series, "ids": None if ids is None else list(ids)})

    def _ask(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        # A Unix socket has no TLS; reading the certificates would take 30 ms of every request.
        transport = httpx.HTTPTransport(uds=str(self._socket), verify=False)
        try:
            with httpx.Client(
                transport=transport, base_url="http://collector", trust_env=False
            ) as client:
                answer = client.post(path, json=asked, timeout=TIMEOUT_S)
        except httpx.TransportError:
            raise KilowatchError(
                "not_running",
                f"The collector does not answer at {self._socket}.",
                status=503,
                remedy="Start it with `kilowatch serve`.",
                retry_helps=True,
            ) from None
        said: dict[str, Any] = answer.json()
        if answer.is_error:
            raise KilowatchError(
                said.pop("code", "failed"),
                said.pop("detail", answer.text),
                status=answer.status_code,
                remedy=said.pop("remedy", ""),
                retry_helps=answer.status_code == httpx.codes.SERVICE_UNAVAILABLE,
                data=said,
            )
        return said


def _counted(answer: dict[str, Any]) -> PutIn:
    names = ("backfilled", "accepted", "duplicate", "last_seq")
    return PutIn(**{name: answer[name] for name in names})


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(items)
    while some := list(islice(left, PACKETS_AT_A_TIME)):
        yield some

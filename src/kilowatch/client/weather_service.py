"""Outdoor temperatures from an open weather service, pushed like any gateway's packets.

Nothing here runs by itself, and nothing of it in the platform: somebody starts it as a client, with
a credential of its own, and only then does it ask anybody on the internet. Services answer with
what their model says of a place, not with what was measured there; hours that have not begun are
left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx

from kilowatch import __version__
from kilowatch.client.answers import Tally
from kilowatch.client.pusher import Pusher
from kilowatch.client.weather_files import HIGHEST_C, LOWEST_C, Reading
from kilowatch.model.errors import KilowatchError

TIMEOUT_S = 30.0
ANSWER_BYTES_MAX = 4_000_000
"""A month of hours is 60 KB; whoever answers with more is no weather service."""
FIRST_TIME = timedelta(days=2)
"""How far back a stream without packets begins."""
PAST_DAYS_MAX = 92  # of Open-Meteo's forecast interface
OPEN_METEO = "https://api.open-meteo.com/v1/forecast"
MET_NORWAY = "https://api.met.no/weatherapi/locationforecast/2.0/compact"


@dataclass(frozen=True, slots=True)
class Place:
    """A place on earth, in degrees; four decimals are 11 m, and more only identifies people."""

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):
            raise KilowatchError(
                "no_place",
                f"{self.latitude:g}, {self.longitude:g} is no place on earth.",
                remedy="Latitude is -90 to 90 (north is positive), longitude -180 to 180.",
            )

    def query(self) -> dict[str, str]:
        """Return the two numbers as services want them, without the decimals nobody needs."""
        return {
            "lat": f"{self.latitude:.4f}".rstrip("0").rstrip("."),
            "lon": f"{self.longitude:.4f}".rstrip("0").rstrip("."),
        }


class WeatherService(Protocol):
    """Who can say how warm it is and was outdoors."""

    async def hours(self, place: Place, since: datetime, now: datetime) -> list[Reading]:
        """Return hourly temperatures after ``since`` and not after ``now``, the oldest first.

        Raises:
            KilowatchError: ``weather_unavailable`` (trying again helps) or ``weather_garbled``.
        """
        ...


class OpenMeteo:
    """Open-Meteo's forecast interface, which also has the last 92 days (CC BY 4.0).

    Args:
        url: Its address, or that of a server of one's own.
    """

    def __init__(self, url: str = OPEN_METEO) -> None:
        self._url = url

    async def hours(self, place: Place, since: datetime, now: datetime) -> list[Reading]:
        """Return hourly temperatures after ``since``, at most 92 days back."""
        days = min(max((now - since).days + 1, 1), PAST_DAYS_MAX)
        where = place.query()
        answer, _ = await _get(
            self._url,
            {
                "latitude": where["lat"], "longitude": where["lon"], "hourly": "temperature_2m",
                "past_days": str(days), "forecast_days": "1", "timeformat": "unixtime",
                "timezone": "GMT", "temperature_unit": "celsius",
            },
            f"kilowatch/{__version__}",
        )  # fmt: skip
        return _understood(lambda: _open_meteo(answer), since, now)


class MetNorway:
    """MET Norway's Locationforecast 2.0 (CC BY 4.0): the present hour, asked once it is new.

    Its terms ask for a name with which they can reach whoever asks, at most four decimals, and no
    request before the last answer expires.

    Args:
        contact: E-mail address or web page of who asks.
        url: Its address.
    """

    def __init__(self, contact: str, url: str = MET_NORWAY) -> None:
        if not contact.strip() or not contact.isprintable():
            raise KilowatchError(
                "no_contact",
                "MET Norway asks who you are.",
                remedy="Give an e-mail address or a web page with --contact.",
            )
        self._url, self._agent = url, f"kilowatch/{__version__} {contact.strip()}"
        self._kept: dict[str, Any] | None = None
        self._asked_at = self._fresh_until = datetime.min.replace(tzinfo=UTC)

    async def hours(self, place: Place, since: datetime, now: datetime) -> list[Reading]:
        """Return the hours of the last answer that had begun when it was asked for."""
        if self._kept is None or now >= self._fresh_until:
            self._kept, expires = await _get(self._url, place.query(), self._agent)
            self._asked_at, self._fresh_until = now, _when(expires) or now + timedelta(minutes=30)
        answer = self._kept
        return _understood(lambda: _met_norway(answer), since, self._asked_at)


async def bring(
    service: WeatherService, place: Place, pusher: Pusher, stream_id: str, now: datetime
) -> Tally:
    """Push the hours that a stream has not got yet, in their order.

    Args:
        service: Whom to ask.
        place: Where.
        pusher: Pushes with a credential that reaches the stream.
        stream_id: Of a data point in °C.
        now: What time it is, in UTC.

    Raises:
        KilowatchError: As of the service.
        PushStopped: A person must mend something first.
    """
    latest = await pusher.latest(stream_id)
    since = now - FIRST_TIME
    if latest is not None:
        since = datetime.fromisoformat(json.loads(latest)["tsISO8601"]).astimezone(UTC)
    readings = await service.hours(place, since, now)
    return await pusher.push_all(stream_id, [one.packet(stream_id) for one in readings])


async def _get(url: str, query: dict[str, str], agent: str) -> tuple[dict[str, Any], str]:
    """Return an answer's object, and when it expires."""
    headers = {"User-Agent": agent, "Accept": "application/json"}
    content = b""
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, headers=headers) as client,
            client.stream("GET", url, params=query) as answer,
        ):
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > ANSWER_BYTES_MAX:
                    raise _garbled("more than a weather service has to say")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise KilowatchError(
            "weather_unavailable",
            f"The weather service does not answer: {error or type(error).__name__}.",
            status=503,
            remedy="It is asked again; nothing is lost.",
            retry_helps=True,
        ) from None
    if answer.status_code != httpx.codes.OK:
        raise KilowatchError(
            "weather_unavailable",
            f"The weather service answers {answer.status_code}.",
            status=503,
            remedy="It is asked again; if it stays so, look at its terms and its address.",
            retry_helps=True,
        )
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _garbled("no JSON object")
    return found, answer.headers.get("expires", "")


def _open_meteo(answer: dict[str, Any]) -> list[Reading]:
    hourly = answer["hourly"]
    pairs = zip(hourly["time"], hourly["temperature_2m"], strict=True)
    return [
        Reading(datetime.fromtimestamp(at, UTC), float(value))
        for at, value in pairs
        if value is not None
    ]


def _met_norway(answer: dict[str, Any]) -> list[Reading]:
    return [
        Reading(
            datetime.fromisoformat(one["time"]).astimezone(UTC),
            float(one["data"]["instant"]["details"]["air_temperature"]),
        )
        for one in answer["properties"]["timeseries"]
    ]


def _understood(
    parse: Callable[[], list[Reading]], since: datetime, now: datetime
) -> list[Reading]:
    try:
        found = parse()
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise _garbled("another shape than it is known to have") from None
    if any(not LOWEST_C <= one.temperature_c <= HIGHEST_C for one in found):
        raise _garbled("temperatures that there are not outdoors")
    return sorted((one for one in found if since < one.at <= now), key=lambda one: one.at)


def _when(expires: str) -> datetime | None:
    try:
        return parsedate_to_datetime(expires).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def _garbled(what: str) -> KilowatchError:
    return KilowatchError(
        "weather_garbled", f"The weather service answered with {what}; nothing was pushed.",
        status=502, remedy="Look whether its interface has changed.",
    )  # fmt: skip

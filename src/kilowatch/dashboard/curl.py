"""The ready curl line: an integrator's first packet, right at the first try."""

from __future__ import annotations

import contextlib
import json
import shlex
from datetime import datetime
from zoneinfo import ZoneInfo

from kilowatch.catalog import examples
from kilowatch.dashboard.settings import DashboardSettings
from kilowatch.model.parameters import WIRE_CHANNELS
from kilowatch.model.points import DataPoint

PATH = "/measurements/v2/unifiedjson/"
PLACEHOLDER = "USERNAME"
_NOW = "@now@"

_EXAMPLE: dict[str, float] = {"temperature": 21.4, "humidity": 48.0, "environmental": 21.4}


def example_packet(point: DataPoint, now_ms: int, latest: str = "") -> dict[str, object]:
    """Return a packet that this data point accepts, stamped now on the site's clock.

    Args:
        point: The data point.
        now_ms: What time it is [ms since 1970, UTC].
        latest: The latest packet as it came. Its values are taken again where there is one:
            an invented reading would make a register fall, or jump.
    """
    local = datetime.fromtimestamp(now_ms // 1000, ZoneInfo(point.zone))
    packet: dict[str, object] = {"id": point.stream_id, "tsISO8601": local.isoformat()}
    if latest:
        with contextlib.suppress(ValueError):
            return {**packet, **_values(json.loads(latest))}
    if point.kind == "electrical":
        packet.update({"aP_1": 1250.0, "v_1": 231.4, "c_1": 5.6, "pC_1": 184320.0})
    else:
        packet["value"] = _EXAMPLE.get(point.utility, 1284.5)
    return packet


def _values(packet: object) -> dict[str, object]:
    if not isinstance(packet, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as what json.loads raises
    known = {name: value for name, value in packet.items() if name in ("value", *WIRE_CHANNELS)}
    if not known:
        raise ValueError("nothing that we know")
    return known


def curl_line(
    point: DataPoint,
    settings: DashboardSettings,
    now_ms: int,
    username: str = PLACEHOLDER,
    latest: str = "",
) -> str:
    """Return a command that pushes one packet; the secret is taken from ``$PASSWORD``.

    Its time is the shell's when it is pasted: a page that has stood open for a day, or a line that
    was kept in a note, sends a packet of now, and not one that is too old.

    The certificate of a first start is self-signed, so development uses the plain address
    where there is one, and production's address is taken to have a real certificate.
    """
    address = settings.push_url_http or settings.push_url
    base = address.partition("/measurements/")[0].rstrip("/")
    packet = example_packet(point, now_ms, latest) | {"tsISO8601": _NOW}
    body = shlex.quote(json.dumps(packet, ensure_ascii=False)).replace(_NOW, examples.NOW)
    user = f'"{username}:$PASSWORD"'
    return f"curl {base}{PATH} \\\n  --user {user} \\\n  --data {body}"

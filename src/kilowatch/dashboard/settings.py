"""What the dashboard has to be told; frozen, and read nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

PUSH_PATH = "/measurements/v2/unifiedjson/"


@dataclass(frozen=True, slots=True)
class DashboardSettings:
    """Settings of the dashboard.

    Attributes:
        environment: What this server is; shown, and production serves nothing over http.
        server_key: The data folder's secret key, for session and form tokens.
        push_url: Address for meters, with or without the path (``https://localhost:8443``).
        push_url_http: The plain address of the development environment, or None.
        secure_cookies: True: session cookies are ``Secure`` always (behind a proxy that
            ends TLS); None: exactly when the request came by https.
        session_hours: How long the browser keeps its session cookie [h]; the catalogue ends
            a session earlier when nothing happens.
        heartbeat_s: Silence after which a live stream says that it lives [s].
        coalesce_s: Changes within this time travel as one live message [s].
        demand_period_s: Length over which peak demand is a mean, on the local clock [s].
        late_after_s: At least this long without a packet before a data point is late [s], as long
            as nobody has listened for silences yet.
        rows_max: Most rows that one chart request answers for a channel.
        metrics_token: What a monitoring system elsewhere brings as bearer token; empty for none.
        public_url: Address of the dashboard as people see it, without a slash at the end: links in
            mails begin with it, never with what a request calls us.
    """

    environment: Literal["development", "production"]
    server_key: bytes = field(repr=False)
    push_url: str
    push_url_http: str | None = None
    secure_cookies: bool | None = None
    session_hours: int = 24 * 7
    heartbeat_s: float = 15.0
    coalesce_s: float = 0.25
    demand_period_s: int = 900  # the quarter-hour that most European network tariffs bill
    late_after_s: float = 60.0
    rows_max: int = 20_000
    metrics_token: str = field(default="", repr=False)
    public_url: str = "https://localhost:8444"

    @property
    def push_address(self) -> str:
        """Where meters push, with the path, as people copy it."""
        return self.push_url.partition("/measurements/")[0].rstrip("/") + PUSH_PATH

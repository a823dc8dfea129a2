"""What an operator can set about the push server, and the reason for each number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Environment = Literal["development", "production"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorSettings:
    """Everything the collector needs to know; the composition root fills it in.

    Attributes:
        environment: One server is one environment; production refuses what is not secure.
        server_key: Key of the digests of generated secrets, 32 random bytes.
        log_path: The durable log; only the collector writes it.
        control_socket: Unix socket for platform and commands, mode 0600.
        maintenance_file: While it exists, pushes answer 503; its text is the reason.
        tls_dir: Where the certificate made at the first start lies.
        tls_certificate: PEM file of the operator's own certificate chain, else None.
        tls_key: PEM file of its private key, else None.
        host: Address to listen on.
        http_port: Port of plain HTTP; 0 takes a free one.
        https_port: Port of HTTPS; 0 takes a free one.
        public_url: HTTPS address as clients see it where a proxy stands before us; named
            to clients that come without TLS.
        trusted_proxies: Networks (CIDR) whose ``X-Forwarded-Proto`` is believed.
        log_retention_s: How long a packet stays in the log after it was stored [s].

        head_bytes_max: Request line and headers [bytes]. Real clients send under 1 KiB;
            16 KiB is what nginx and Node.js allow.
        url_bytes_max: Request target [bytes]; 8,000 is what RFC 9110 asks servers to take.
        headers_max: Header fields of a request; 100 is Apache's limit.
        body_bytes_max: Body before and after decompression [bytes], fixed by the contract.
        head_timeout_s: From a request's first byte to the end of its head [s]; a modem
            on a bad line needs seconds, an attacker wants hours.
        body_timeout_s: From the end of the head to the end of the body [s]; 64 KiB in 30 s
            is 2 KiB/s, slower than GPRS.
        idle_timeout_s: Keep-alive without a request [s]. The contract says at least 120;
            gateways that push every 5 minutes keep their session with 300 and a margin.
        write_timeout_s: A client that reads no answers for this long is cut off [s].
        tls_handshake_timeout_s: [s].
        pipelined_max: Requests of one connection that wait for their answers; one head-end
            with many meters gains nothing beyond a group commit's worth.
        connections_max: Open connections; each costs a few KiB, or some 40 KiB with TLS.
        in_flight_max: Packets (or KiB, if they are larger) between their arrival and their
            commit, over all tenants; a quarter of a second's work at full speed.
        feed_bytes_max: Slice in which received bytes go to the parser, so that one big
            read can't start more requests than ``pipelined_max`` and a slice's worth [bytes].
        directory_poll_s: How often the catalogue's revision is read [s]; revocation within
            a second needs two or three chances.
        refresh_pause_s: Least time between two look-ups that unknown names provoke [s].
        password_memory_s: How long a person's verified password is remembered [s].
        password_threads: Threads that verify passwords; Argon2id takes 19 MiB each.
        password_waiting_max: Verifications that may wait; beyond it 503.
        last_used_pause_s: A credential's last use is written at most this often [s].
        shutdown_s_max: How long in-flight requests may take when the server stops [s].
    """

    environment: Environment
    server_key: bytes
    log_path: Path
    control_socket: Path
    maintenance_file: Path
    tls_dir: Path
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    host: str = "127.0.0.1"
    http_port: int = 8080
    https_port: int = 8443
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    log_retention_s: float = 7 * 86_400.0

    head_bytes_max: int = 16_384
    url_bytes_max: int = 8_000
    headers_max: int = 100
    body_bytes_max: int = 65_536
    head_timeout_s: float = 15.0
    body_timeout_s: float = 30.0
    idle_timeout_s: float = 310.0
    write_timeout_s: float = 30.0
    tls_handshake_timeout_s: float = 15.0
    pipelined_max: int = 64
    connections_max: int = 20_000
    in_flight_max: int = 8_192
    feed_bytes_max: int = 16_384
    directory_poll_s: float = 0.25
    refresh_pause_s: float = 0.1
    password_memory_s: float = 60.0
    password_threads: int = 2
    password_waiting_max: int = 64
    last_used_pause_s: float = 60.0
    shutdown_s_max: float = 10.0

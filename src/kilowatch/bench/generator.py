"""One process of the load generator: many connections, one packet under way on each.

It is written on epoll and plain sockets because a generator must not be the bottleneck:
12 µs of CPU a request, nearly all of it the kernel's, the same as wrk's on this machine; on
asyncio with uvloop it is 19. Run as ``python -m kilowatch.bench.generator``, with the job as
JSON on standard input and the result on standard output.
"""

from __future__ import annotations

import json
import os
import select
import socket
import ssl
import sys
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from kilowatch.bench.packets import Requests

Mode = Literal["keep-alive", "new", "handshake"]
"""``new``: a connection for each packet, which is pushed without credentials first, as one
client in use does; ``handshake``: a connection for nothing."""

ACCEPTED = b'{"status":"accepted"}'
READ = 65_536
GRACE_S = 5.0
"""Time that answers under way at the end still get."""

EDGES_MS: Any = 0.01 * 1.01 ** np.arange(1_700)
"""Classes of latency, 1 % apart, from 10 µs to 200 s."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one generator process does.

    Attributes:
        host: Of the server; a loopback address.
        port: Of the server.
        mode: See ``Mode``.
        head: Request line and headers with the credential.
        bare_head: The same without it.
        streams: For each connection its streams, with the time of their next packet
            [s since 1970, UTC].
        seconds: How long [s].
        packets_max: Stop after so many, however long it took.
        tls: True for TLS.
        verify: Whether the server's certificate is checked.
        cafile: Certificate to believe, or None for the system's own.
        cpu: Core to stay on, or None.
    """

    host: str
    port: int
    mode: Mode
    head: str
    bare_head: str
    streams: list[list[tuple[str, int]]]
    seconds: float
    packets_max: int
    tls: bool = False
    verify: bool = True
    cafile: str | None = None
    cpu: int | None = None


@dataclass(slots=True)
class Lane:
    """One connection and its streams, which take turns."""

    requests: list[Requests]
    accepted: list[int]
    turn: int = 0
    sent_ns: int = 0
    awaiting: bool = False  # an answer is to come
    under_way: bool = False  # and it is one to a packet with credentials
    bare: bool = False  # the next request goes without credentials
    shaking: bool = False
    received: bytes = b""
    sock: Any = None


@dataclass(slots=True)
class Tally:
    """What came of it."""

    latencies_ns: array[int] = field(default_factory=lambda: array("q"))
    other: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    handshakes: int = 0


class Generator:
    """Runs a job; every socket is in one epoll set."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.tally = Tally()
        self._epoll = select.epoll()
        self._lanes: dict[int, Lane] = {}
        self._context = _context(job) if job.tls else None
        self._stopping = False
        self._renewals: list[Lane] = []

    def run(self) -> dict[str, Any]:
        """Send until the time is up; return what was acknowledged."""
        job = self.job
        if job.cpu is not None:
            os.sched_setaffinity(0, {job.cpu})
        head, bare = job.head.encode(), job.bare_head.encode()
        lanes = [
            Lane([Requests(name, at_s, head) for name, at_s in streams], [0] * len(streams))
            for streams in job.streams
        ]
        self._bare = {
            name: Requests(name, at_s, bare) for streams in job.streams for name, at_s in streams
        }
        if job.mode == "keep-alive":
            for lane in lanes:
                self._open(lane, wait=True)
        cpu_s, began = time.process_time(), time.perf_counter()
        for lane in lanes:
            if job.mode == "keep-alive":
                self._send_next(lane)
            else:
                self._connect(lane)
        self._loop(began + job.seconds)
        took_s, used_s = time.perf_counter() - began, time.process_time() - cpu_s
        tally = self.tally
        for lane in lanes:
            if lane.under_way:
                tally.unanswered[lane.requests[lane.turn].stream_id] += 1
        accepted = {
            r.stream_id: n for la in lanes for r, n in zip(la.requests, la.accepted, strict=True)
        }
        latencies_ms = np.frombuffer(tally.latencies_ns, np.int64) / 1e6
        classes = np.bincount(np.searchsorted(EDGES_MS, latencies_ms), minlength=len(EDGES_MS) + 1)
        return {
            "accepted": accepted,
            "other": dict(tally.other),
            "unanswered": dict(tally.unanswered),
            "handshakes": tally.handshakes,
            "seconds": took_s,
            "cpu_s": used_s,
            "latency_classes": classes.tolist(),
        }

    def _loop(self, ends: float) -> None:
        poll, lanes, step = self._epoll.poll, self._lanes, self._step
        add, clock = self.tally.latencies_ns.append, time.perf_counter_ns
        fast = self.job.mode == "keep-alive" and not self.job.tls
        last = time.perf_counter() + self.job.seconds + GRACE_S
        while (lanes or self._renewals) and (now := time.perf_counter()) < last:
            if now >= ends or len(self.tally.latencies_ns) >= self.job.packets_max:
                self._stopping = True
            waiting, self._renewals = self._renewals, []
            for lane in waiting:  # here and not where it closed: no recursion, however long
                if not self._stopping:
                    self._connect(lane)
            for fd, _ in poll(0.0 if self._renewals else 0.1, 64):
                lane = lanes[fd]
                if not fast:
                    step(lane)
                    continue
                # The fast path: one read, one whole answer, one write.
                try:
                    data = lane.sock.recv(READ)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if lane.received or not (data[:12] == b"HTTP/1.1 200" and data.endswith(ACCEPTED)):
                    self._take(lane, data)
                    continue
                add(clock() - lane.sent_ns)
                lane.accepted[lane.turn] += 1
                lane.under_way = lane.awaiting = False
                self._send_next(lane)

    # Connections

    def _connect(self, lane: Lane) -> None:
        """Begin with a new connection; its packet's time counts from here."""
        lane.sent_ns = time.perf_counter_ns()
        lane.bare = self.job.mode == "new"
        self._open(lane)

    def _open(self, lane: Lane, *, wait: bool = False) -> None:
        lane.awaiting = lane.under_way = False
        lane.received = b""
        try:
            lane.sock = socket.create_connection((self.job.host, self.job.port), timeout=GRACE_S)
        except OSError:
            self.tally.other["no connection"] += 1
            return
        lane.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            lane.shaking = not wait
            lane.sock = self._context.wrap_socket(
                lane.sock, server_hostname=self.job.host, do_handshake_on_connect=wait
            )
        lane.sock.settimeout(0.0)
        self._lanes[lane.sock.fileno()] = lane
        self._epoll.register(lane.sock.fileno(), select.EPOLLIN)
        if not wait:
            self._step(lane)

    def _close(self, lane: Lane) -> None:
        number = lane.sock.fileno()
        self._epoll.unregister(number)
        del self._lanes[number]
        lane.sock.close()

    def _renew(self, lane: Lane) -> None:
        """Close, and go on with a new connection unless the time is up."""
        self._close(lane)
        if not self._stopping:
            self._renewals.append(lane)

    def _step(self, lane: Lane) -> None:
        """Do what a connection is ready for: handshake, request, answer."""
        try:
            if lane.shaking:
                lane.sock.do_handshake()
                lane.shaking = False
                self.tally.handshakes += 1
                if self.job.mode == "handshake":
                    self.tally.latencies_ns.append(time.perf_counter_ns() - lane.sent_ns)
                    self._renew(lane)
                    return
            if lane.awaiting:
                self._take(lane, lane.sock.recv(READ))
            elif self.job.mode == "keep-alive":
                self._send_next(lane)
            else:
                self._send(lane)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return
        except OSError:
            self._lost(lane)

    def _send_next(self, lane: Lane) -> None:
        """Send the next packet on a kept connection."""
        if self._stopping:
            self._close(lane)
            return
        lane.turn = (lane.turn + 1) % len(lane.requests)
        lane.sent_ns = time.perf_counter_ns()
        self._send(lane)

    def _send(self, lane: Lane) -> None:
        requests = lane.requests[lane.turn]
        lane.awaiting, lane.under_way = True, not lane.bare
        request = self._bare[requests.stream_id].next() if lane.bare else requests.next()
        try:
            lane.sock.send(request)
        except OSError:
            self._lost(lane)

    def _lost(self, lane: Lane) -> None:
        if lane.under_way:
            self.tally.unanswered[lane.requests[lane.turn].stream_id] += 1
        lane.under_way = lane.awaiting = False
        self.tally.other["connection lost"] += 1
        self._renew(lane)

    # Answers

    def _take(self, lane: Lane, data: bytes) -> None:
        if not data:
            self._lost(lane)
            return
        lane.received += data
        answer = _whole(lane.received)
        if answer is None:
            return
        status, closes, body = answer
        lane.received = b""
        lane.awaiting = lane.under_way = False
        if status == 401 and lane.bare:
            self._answer_challenge(lane, closes=closes)
            return
        self.tally.latencies_ns.append(time.perf_counter_ns() - lane.sent_ns)
        if status == 200 and body == ACCEPTED:
            lane.accepted[lane.turn] += 1
        else:
            self.tally.other[_name(status, body)] += 1
        if self.job.mode == "new":
            lane.turn = (lane.turn + 1) % len(lane.requests)
        if closes or self.job.mode == "new":
            self._renew(lane)
        else:
            self._send_next(lane)

    def _answer_challenge(self, lane: Lane, *, closes: bool) -> None:
        lane.bare = False
        if closes:
            self._close(lane)
            self._open(lane)
        else:
            self._send(lane)


def _whole(data: bytes) -> tuple[int, bool, bytes] | None:
    """Return status, whether the server closes, and body, once an answer is complete."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return None
    lower = head.lower()
    _, found, rest = lower.partition(b"content-length:")
    length = int(rest.split(b"\r\n", 1)[0]) if found else 0
    if len(body) < length:
        return None
    return int(data[9:12]), b"connection: close" in lower, body


def _name(status: int, body: bytes) -> str:
    try:
        said = json.loads(body)
        word = said.get("code") or said.get("status")
    except (ValueError, AttributeError):
        word = ""
    return f"{status} {word}".strip()


def _context(job: Job) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=job.cafile)
    if not job.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def main() -> None:
    """Run the job on standard input."""
    job = Job(**json.load(sys.stdin))
    json.dump(Generator(job).run(), sys.stdout)


if __name__ == "__main__":
    main()

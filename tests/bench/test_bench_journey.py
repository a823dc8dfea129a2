from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run a real server in a folder of its own."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
    ports = [sock.getsockname()[1] for sock in taken]
    for sock in taken:
        sock.close()
    names = ("push-http", "push-https", "dashboard", "dashboard-https")
    flags = [f"--{name}-port={port}" for name, port in zip(names, ports, strict=True)]
    folder = tmp_path_factory.mktemp("bench") / "data"
    process = subprocess.Popen(
        [sys.executable, "-m", "kilowatch", "serve", "--data", str(folder), *flags],
        stdout=subprocess.DEVNULL,
    )
    try:
        ends = time.monotonic() + 60
        while not (folder / "addresses.json").exists():
            assert process.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.1)
        yield folder
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.mark.journey
@pytest.mark.parametrize("flags", [[], ["--tls"], ["--new-connections"], ["--tls", "--user"]])
def test_a_bench_of_a_real_server_finds_every_acknowledged_packet_in_the_store(
    data: Path, flags: list[str]
) -> None:
    """A short load, then the count: acknowledged minus stored is zero, stream by stream."""
    environment = {**os.environ}
    if "--user" in flags:  # with an integrator's own credential
        made = subprocess.run(
            [sys.executable, "-m", "kilowatch", "startup-package", "--data", str(data), "--json",
             "--organization", "Bench Test", "--email", "a@example.com"],
            capture_output=True, check=True,
        )  # fmt: skip
        package = json.loads(made.stdout)
        flags = ["--tls", "--user", package["username"], "--url", package["push_url"]]
        environment["KILOWATCH_PUSH_PASSWORD"] = package["password"]
    done = subprocess.run(
        [sys.executable, "-m", "kilowatch", "bench", "push", "--data", str(data),
         "--seconds", "1", "--connections", "8", *flags],
        capture_output=True, text=True, check=False, timeout=120, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every acknowledged packet is in the store." in done.stdout
    assert "packets/s" in done.stdout
    assert "server CPU per packet" in done.stdout
    assert "other:" not in done.stdout

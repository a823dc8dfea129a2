"""The certificate that is made at the first start, and the operator's own."""

import datetime as dt
import os
import shutil
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from kilowatch.collector import certificate as making
from kilowatch.collector import ensure_certificate
from kilowatch.collector.tls import tls_context
from kilowatch.model.errors import KilowatchError
from tests.collector.conftest import StartServer
from tests.collector.harness import Server, packet


def names(certificate: Path) -> set[str]:
    """Return what a certificate is for."""
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    listed = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in listed}


def test_the_first_start_makes_a_certificate_for_this_machine(tmp_path: Path) -> None:
    """HTTPS works from the first minute; the key is readable by its owner only."""
    certificate, key = ensure_certificate(tmp_path / "tls", ["meters.example.com", "10.0.0.7"])
    wanted = {"localhost", "127.0.0.1", "::1", socket.gethostname()}
    assert names(certificate) == wanted | {"meters.example.com", "10.0.0.7"}
    assert key.stat().st_mode & 0o777 == 0o600
    before = certificate.read_bytes()
    assert ensure_certificate(tmp_path / "tls")[0].read_bytes() == before


def test_two_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """Collector and platform share the folder; neither meets half a file."""
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: ensure_certificate(tmp_path / "tls"), range(4)))
    for certificate, key in made:
        tls_context(certificate, key)


def test_two_makers_never_leave_one_s_key_with_the_other_s_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the disk is at the wrong moment, HTTPS starts."""
    write = making._write
    halfway = threading.Event()

    def slow(path: Path, content: bytes) -> None:
        if path.name == "cert.pem" and not halfway.is_set():
            halfway.set()
            time.sleep(0.3)
        write(path, content)

    monkeypatch.setattr(making, "_write", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ensure_certificate, tmp_path)
        assert halfway.wait(10)
        second = pool.submit(ensure_certificate, tmp_path)
        assert first.result() == second.result()
    tls_context(*first.result())


def test_a_certificate_is_renewed_before_it_expires(tmp_path: Path) -> None:
    """Nobody's gateways stop on a Sunday two years from now."""
    certificate, _ = ensure_certificate(tmp_path)
    before = certificate.read_bytes()
    old = time.time() - 800 * 86_400
    os.utime(certificate, (old, old))
    ensure_certificate(tmp_path)
    assert certificate.read_bytes() != before
    ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    assert ends - dt.datetime.now(dt.UTC) > dt.timedelta(days=700)


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    """Whoever mixes up two files learns which."""
    certificate, key = ensure_certificate(tmp_path)
    with pytest.raises(KilowatchError) as refused:
        tls_context(key, certificate)
    assert refused.value.code == "tls_unusable"
    assert str(key) in refused.value.detail


def test_a_renewed_certificate_is_served_without_a_restart(server: Server) -> None:
    """Renewal by a cron job needs nobody to restart the server."""
    port = server.addresses.https_port
    old = ssl.get_server_certificate(("127.0.0.1", port))
    folder = server.settings.tls_dir
    other, key = ensure_certificate(folder / "other")
    shutil.copy(key, folder / "key.pem")
    shutil.copy(other, folder / "cert.pem")
    later = time.time() + 5
    os.utime(folder / "cert.pem", (later, later))
    ends = time.monotonic() + 10
    while ssl.get_server_certificate(("127.0.0.1", port)) == old and time.monotonic() < ends:
        time.sleep(0.1)
    assert ssl.get_server_certificate(("127.0.0.1", port)) == other.read_text()
    assert server.push(packet()).status == 200


def test_the_operators_own_certificate_is_served(start: StartServer, tmp_path: Path) -> None:
    """A real certificate takes the place of the self-made one."""
    certificate, key = ensure_certificate(tmp_path / "mine", ["meters.example.com"])
    server = start(tls_certificate=certificate, tls_key=key)
    served = ssl.get_server_certificate(("127.0.0.1", server.addresses.https_port))
    assert served == certificate.read_text()
    assert not server.settings.tls_dir.exists()

"""The startup package is all that an integrator needs, on one page or as one JSON object."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kilowatch import catalog
from kilowatch.catalog import secrets, sessions
from kilowatch.catalog.directory import load
from tests.cli.conftest import Shell

STREAMS = ("electricity", "gas", "environmental")


def test_a_program_gets_exactly_the_promised_object(shell: Shell, acme: dict[str, Any]) -> None:
    """A script that sets up a gateway reads these names; one more or less would break it."""
    assert list(acme) == [
        "push_url", "username", "password", "streams",
        "dashboard_url", "dashboard_user", "dashboard_password",
    ]  # fmt: skip
    assert tuple(acme["streams"]) == STREAMS
    assert acme["push_url"] == "https://localhost:8443/measurements/v2/unifiedjson/"
    assert acme["dashboard_url"] == "http://localhost:8000/"
    assert acme["dashboard_user"] == "ann@example.com"


def test_what_it_hands_out_works(shell: Shell, acme: dict[str, Any]) -> None:
    """The credential reaches the three streams, and the account logs in to the dashboard."""
    opened = catalog.open(shell.folder / "catalog.sqlite")
    key = secrets.load_or_create_key(shell.folder)
    directory = load(opened, "development")
    credential = directory.credential(acme["username"])
    assert credential is not None
    assert credential.secret_digest == secrets.digest(key, acme["password"])
    for stream_id in acme["streams"].values():
        point = directory.find(credential, stream_id)
        assert point is not None
        assert credential.allowed(point)
    assert sessions.authenticate(
        opened, key, email=acme["dashboard_user"], password=acme["dashboard_password"], address=""
    )


def test_addresses_are_those_of_the_server_that_was_started(shell: Shell) -> None:
    """Where a port was taken and another one chosen, the package says the one in use."""
    shell.folder.mkdir()
    told = {
        "environment": "development",
        "push_https": "https://localhost:9443/measurements/v2/unifiedjson/",
        "push_http": "http://localhost:9080/measurements/v2/unifiedjson/",
        "dashboard_http": "http://localhost:9000/",
        "dashboard_https": "https://localhost:9444/",
    }
    (shell.folder / "addresses.json").write_text(json.dumps(told), encoding="utf-8")
    package = shell("startup-package", "--organization", "A", "--email", "a@b.ie", "--json").json
    assert package["push_url"] == told["push_https"]
    assert package["dashboard_url"] == told["dashboard_http"]


def test_a_production_server_hands_out_production_credentials(shell: Shell) -> None:
    """What is printed works on the server that it names, and people log in over HTTPS."""
    shell.folder.mkdir()
    (shell.folder / "kilowatch.toml").write_text('environment = "production"', encoding="utf-8")
    package = shell("startup-package", "--organization", "A", "--email", "a@b.ie", "--json").json
    assert package["dashboard_url"] == "https://localhost:8444/"
    opened = catalog.open(shell.folder / "catalog.sqlite")
    assert load(opened, "production").credential(package["username"]) is not None
    assert load(opened, "development").credential(package["username"]) is None


def test_the_page_for_people_has_everything(shell: Shell) -> None:
    """Credentials, streams, addresses, examples and the defaults that were used, to copy."""
    package = shell(
        "startup-package", "--organization", "O'Neill [x]", "--email", "a@b.ie", "--interval", "15m"
    ).text
    for words in (
        "Startup package for O'Neill [x] (development environment)",
        "https://localhost:8443/measurements/v2/unifiedjson/",
        "http://localhost:8080/measurements/v2/unifiedjson/  (on this machine only)",
        "http://localhost:8000/",
        "electrical, energy registers in Wh, every 15 min",
        "a@b.ie",
        "The server is not running. Start it with: kilowatch serve --data",
        "--timezone 'Europe/Dublin', --country 'IE', --reading 'cum'",
    ):
        assert words in package, words
    assert "--interval" not in package  # it was given
    assert len(re.findall(r"^  curl .*tsISO8601", package, re.MULTILINE)) == len(STREAMS)


@pytest.mark.parametrize("reading", ["cum", "avg"])
def test_the_example_requests_are_right_when_pasted(shell: Shell, reading: str) -> None:
    """A real shell turns each line into one valid packet with the present time and the id."""
    page = shell(
        "startup-package", "--organization", "A", "--email", "a@b.ie", "--reading", reading
    ).text
    lines = [line for line in page.splitlines() if "tsISO8601" in line]
    for stream, line in zip(STREAMS, lines, strict=True):
        # Instead of curl, a program that prints its arguments.
        printer = f"{sys.executable} -c 'import sys, json; print(json.dumps(sys.argv[1:]))' "
        done = subprocess.run(
            ["sh", "-c", line.replace("curl ", printer, 1)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        arguments = json.loads(done.stdout)
        assert arguments[0] == "-sSk"
        assert arguments[1] == "-u"
        assert re.fullmatch(r"kw-a-\w{8}:[\w-]{32}", arguments[2])
        packet = json.loads(arguments[-1])
        assert packet["id"].startswith(f"{stream}-")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", packet["tsISO8601"])
        assert set(packet) - {"id", "tsISO8601"} in ({"aP_1", "v_1", "pC_1"}, {"value"})


def test_a_certificate_that_is_there_is_trusted_by_name(shell: Shell) -> None:
    """Once the server has its certificate, the example checks it instead of looking away."""
    (shell.folder / "tls").mkdir(parents=True)
    (shell.folder / "tls" / "cert.pem").write_text("made at first start", encoding="utf-8")
    page = shell("startup-package", "--organization", "A", "--email", "a@b.ie").text
    assert f"--cacert {shell.folder}/tls/cert.pem" in page
    assert "-sSk" not in page


@pytest.mark.parametrize(
    ("name", "email", "says", "remedy"),
    [
        (" ACME ", "bob@example.com", "exists already", "credential add --organization ACME"),
        ("Bcme", "ANN@example.com", "has an account already", "Use another address"),
    ],
)
def test_a_second_package_changes_nothing_and_says_what_to_do(
    shell: Shell, acme: dict[str, Any], name: str, email: str, says: str, remedy: str
) -> None:
    """Running it twice by mistake does not scatter a second set of streams and passwords."""
    said = shell("startup-package", "--organization", name, "--email", email, "--json")
    assert said.text == ""
    assert said.refusal is not None
    assert says in said.refusal.detail
    assert remedy in said.refusal.remedy
    listed = shell("data-point", "list", "--json").json
    assert len(listed) == len(STREAMS)


@pytest.mark.parametrize(
    ("flag", "word", "says"),
    [
        ("--timezone", "Europe/Dubln", "not a time zone"),
        ("--country", "XX", "not a country"),
        ("--interval", "5", "not an interval"),
        ("--reading", "sum", "not a known reading"),
        ("--environment", "test", "not a known environment"),
        ("--email", "nobody", "not an e-mail address"),
    ],
)
def test_a_wrong_word_is_named_and_nothing_is_made(
    shell: Shell, flag: str, word: str, says: str
) -> None:
    """A slip in one flag leaves no half-made organisation behind."""
    said = shell("startup-package", "--organization", "A", "--email", "a@b.ie", flag, word)
    assert said.refusal is not None
    assert says in said.refusal.detail
    assert shell("data-point", "list", "--json").json == []


def test_the_installed_command_prints_json_and_nothing_else(tmp_path: Path) -> None:
    """A script can read standard output as it is; a refusal goes to standard error, exit code 1."""
    command = [sys.executable, "-m", "kilowatch", "startup-package", "--organization", "Acme"]
    command += ["--email", "ann@example.com", "--json", "--data", str(tmp_path / "data")]
    first = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert (first.returncode, first.stderr) == (0, "")
    assert set(json.loads(first.stdout)["streams"]) == set(STREAMS)
    again = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("Error: An organisation named 'Acme' exists already.")
    assert "Traceback" not in again.stderr

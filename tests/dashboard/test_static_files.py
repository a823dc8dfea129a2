"""Scripts and styles: packed once, kept for ever at their address, and nothing else of the disk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount
from starlette.testclient import TestClient

from kilowatch.dashboard.security import check_csrf, csrf_token
from kilowatch.dashboard.static_files import Static
from kilowatch.model.errors import KilowatchError
from tests.dashboard.worlds import KEY, World


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    """Serve a folder with a script, a small one and a secret beside the folder."""
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "page.js").write_text("export const x = 1;\n" * 500)
    (folder / "small.js").write_text("x")
    (folder / "picture.png").write_bytes(b"\x89PNG" * 600)
    (tmp_path / "secret.js").write_text("secret" * 500)
    return TestClient(Starlette(routes=[Mount("/static", Static(folder))]))


def test_what_shrinks_is_packed_and_what_a_browser_cannot_unpack_is_not(client: TestClient) -> None:
    """The same content either way, and a browser keeps it: its address changes with the content."""
    packed = client.get("/static/page.js")
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < 300
    plain = client.get("/static/page.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == packed.text
    for answer in (
        packed,
        plain,
        client.get("/static/small.js"),
        client.get("/static/picture.png"),
    ):
        assert "immutable" in answer.headers["cache-control"]
    assert packed.headers["content-type"].startswith("text/javascript")
    assert packed.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path", ["/static/../secret.js", "/static/%2e%2e/secret.js", "/static/no.js"]
)
def test_nothing_outside_the_folder_is_served(client: TestClient, path: str) -> None:
    """An address cannot climb out of the folder."""
    assert client.get(path).status_code == 404


def test_pages_and_what_charts_are_drawn_from_are_packed_and_files_are_not(
    world: World, admin: TestClient
) -> None:
    """A year of figures shrinks, a page shrinks more; an answer to a form and a file do not."""
    number = world.point("main").id
    data = admin.get(f"/data/series?point={number}&period=month")
    assert data.headers["content-encoding"] == "gzip"
    assert int(data.headers["content-length"]) < len(data.content) / 3
    assert data.json()["channels"]
    address = f"/breakdown/{number}"
    page = admin.get(address, headers={"accept": "text/html"})
    assert page.headers["content-encoding"] == "gzip"
    assert page.headers["vary"] == "Accept-Encoding"
    assert int(page.headers["content-length"]) < len(page.content) / 3
    plain = admin.get(address, headers={"accept": "text/html", "accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    token = re.compile("[0-9a-f]{128}")
    assert token.sub("", plain.text) == token.sub("", page.text)
    refused = {"csrf": "0"}
    answer = admin.post("/logout", data=refused, headers={"accept": "text/html"})
    assert len(answer.content) > 1_024
    assert "content-encoding" not in answer.headers
    file = admin.get(f"/data/series.csv?point={number}&period=month")
    assert "content-encoding" not in file.headers


def test_the_length_of_a_packed_page_tells_nothing_about_its_token(
    world: World, admin: TestClient
) -> None:
    """The token is written otherwise each time and holds; the length differs by chance (BREACH)."""
    address = f"/breakdown/{world.point('main').id}"
    pages = [admin.get(address, headers={"accept": "text/html"}) for _ in range(8)]
    tokens = {re.findall("[0-9a-f]{128}", page.text)[0] for page in pages}
    assert len(tokens) == len(pages)
    assert len({page.headers["content-length"] for page in pages}) > 1
    request = Request({"type": "http", "headers": []})
    first, second = csrf_token(KEY, "a session"), csrf_token(KEY, "a session")
    assert first != second
    for token in (first, second):
        check_csrf(request, KEY, "a session", token)
    wrong = f"{int(first[0], 16) ^ 1:x}{first[1:]}"
    for bound_to, token in (
        ("another session", first), ("a session", wrong), ("a session", first[:64]),
        ("a session", ""), ("a session", "00"), ("a session", "é"), ("", first),
    ):  # fmt: skip
        with pytest.raises(KilowatchError, match="no longer valid"):
            check_csrf(request, KEY, bound_to, token)

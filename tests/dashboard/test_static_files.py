"""Scripts and styles: packed once, kept for ever at their address, and nothing else of the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from kilowatch.dashboard.static_files import Static
from tests.dashboard.worlds import World


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


def test_what_charts_are_drawn_from_is_packed_and_pages_are_not(
    world: World, admin: TestClient
) -> None:
    """A year of figures shrinks; a page with a form's token does not tell its length."""
    number = world.point("main").id
    data = admin.get(f"/data/series?point={number}&period=month")
    assert data.headers["content-encoding"] == "gzip"
    assert int(data.headers["content-length"]) < len(data.content) / 3
    assert data.json()["channels"]
    page = admin.get(f"/breakdown/{number}", headers={"accept": "text/html"})
    assert "content-encoding" not in page.headers
    file = admin.get(f"/data/series.csv?point={number}&period=month")
    assert "content-encoding" not in file.headers

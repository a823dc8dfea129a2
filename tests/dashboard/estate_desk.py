"""Somebody of a role at the pages of Administration."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from kilowatch.catalog.tables import AuditEntry
from tests.dashboard.access_world import Matrix
from tests.dashboard.worlds import build

PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """Build two organisations with a person of each role."""
    folder = tmp_path_factory.mktemp("estate")
    made = build(folder, days=1)
    yield Matrix(made, folder)
    made.writer.close()
    made.log.close()
    made.catalog.close()


class Desk:
    """Somebody with a browser."""

    def __init__(self, matrix: Matrix, role: str) -> None:
        self.matrix, self.world = matrix, matrix.world
        self.client: TestClient = matrix.client(role)
        self.csrf = matrix.form(self.client)["csrf"]
        self.acme = matrix.ours.numbers["organisation_id"]
        self.office = matrix.ours.numbers["site_id"]

    def get(self, path: str) -> str:
        """Return a page."""
        answer = self.client.get(path, headers=PAGE)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
        return html.unescape(answer.text)

    def post(self, path: str, **fields: str) -> str:
        """Send a form that is right, and return the page that comes of it."""
        answer = self.client.post(path, data={"csrf": self.csrf, **fields}, headers=PAGE)
        if answer.status_code == 303:
            return self.get(answer.headers["location"])
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        return html.unescape(answer.text)

    def refused(self, path: str, **fields: str) -> str:
        """Send a form that is wrong, and return the page that says why."""
        answer = self.client.post(path, data={"csrf": self.csrf, **fields}, headers=PAGE)
        assert answer.status_code in (409, 422), (path, answer.status_code)
        return html.unescape(answer.text)

    def upload(self, content: bytes, name: str = "points.csv") -> str:
        """Bring a file, and return the address of what it would do."""
        answer = self.client.post(
            f"/admin/organizations/{self.acme}/import",
            data={"csrf": self.csrf},
            files={"file": (name, content, "text/csv")},
            headers=PAGE,
        )
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def history(self, subject: str) -> list[AuditEntry]:
        """Return what the audit history has about a kind of thing."""
        with self.world.catalog.reading() as session:
            return list(
                session.query(AuditEntry).filter_by(subject=subject).order_by(AuditEntry.id)
            )


def shown(page: str, name: str) -> str:
    """Return what a page offers to copy."""
    found = re.search(rf'<pre id="{name}"[^>]*>([^<]*)</pre>', page)
    assert found, name
    return found[1]

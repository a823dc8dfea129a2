"""One family of errors, so that every refusal can be explained in the same words."""

from __future__ import annotations

import http
from typing import Any

PROBLEM_TYPE = "urn:kilowatch:problem:"
"""What the ``type`` of a problem begins with; its code follows."""


class KilowatchError(Exception):
    """A request that the platform refuses, with what a person needs to mend it.

    Args:
        code: Stable machine-readable word, for example ``"invalid_json"``.
        detail: One sentence for a person: what happened.
        status: The HTTP status that says it on the wire.
        remedy: What to do about it, or an empty string.
        retry_helps: Whether the same request can succeed later.
        data: Facts that belong to the refusal (parameter, line, column, …).
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int = 400,
        remedy: str = "",
        retry_helps: bool = False,
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{detail} {remedy}".strip())
        self.code = code
        self.detail = detail
        self.status = status
        self.remedy = remedy
        self.retry_helps = retry_helps
        self.data = data or {}

    def problem(self, title: str = "") -> dict[str, Any]:
        """Return the refusal as problem details (RFC 9457), which its own data do not replace.

        Args:
            title: What the kind of refusal is called; empty for the phrase of its status.
        """
        said: dict[str, Any] = {
            "type": PROBLEM_TYPE + self.code,
            "title": title or http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.remedy:
            said["remedy"] = self.remedy
        return said | {key: value for key, value in self.data.items() if key not in said}

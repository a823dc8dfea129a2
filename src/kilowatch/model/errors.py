"""One family of errors, so that every refusal can be explained in the same words."""

from __future__ import annotations

from typing import Any


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

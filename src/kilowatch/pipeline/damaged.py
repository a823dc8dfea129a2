"""A file of what is found again is no reason to stop: damaged, it is put aside and made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw


def opened_or_anew(
    path: Path, opened: Callable[[Path], apsw.Connection], now_ms: int, logger: Any, event: str
) -> apsw.Connection:
    """Open a SQLite file; a damaged one stays beside it as ``NAME.broken-now_ms``.

    Args:
        path: The file; what it holds can be found again.
        opened: Opens it, or makes it where it is not there.
        now_ms: The time for the damaged file's name [ms since 1970, UTC].
        logger: Where that is said.
        event: What the line is called.
    """
    try:
        return opened(path)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        aside = path.with_name(f"{path.name}.broken-{now_ms}")
        path.rename(aside)
        logger.exception(event, kept_as=str(aside), reason=str(error))
        for rest in ("-wal", "-shm"):
            path.with_name(path.name + rest).unlink(missing_ok=True)
        return opened(path)

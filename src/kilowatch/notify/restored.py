"""What is done to the book of alerts that comes out of a backup."""

from __future__ import annotations

from pathlib import Path

from kilowatch.notify.book import Book


def settle(path: Path, now_ms: int) -> int:
    """Drop what waited for delivery when the backup was made, and say why.

    The server that the backup is of went on, and has most likely delivered it: nobody needs to hear
    of last week's alarm tonight. What lasts is told of as ever, by reminders and by its end.

    Args:
        path: The restored file.
        now_ms: What time it is [ms since 1970, UTC].

    Returns:
        How many messages there were.

    Raises:
        KilowatchError: ``alerts_unreadable``: it is damaged, or a later program has written it.
    """
    book = Book(path)
    try:
        with book.writing() as tx:
            tx.execute(
                "UPDATE delivery SET state = 'dropped', done_ms = ?, reason = ?"
                " WHERE state = 'pending'",
                (now_ms, "It waited when the backup was made that was restored."),
            )
            return tx.changes()
    finally:
        book.close()

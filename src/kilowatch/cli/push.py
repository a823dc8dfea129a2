"""``kilowatch push``: packets from files, in order, with progress, retry and resume."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kilowatch.client import Answer, Pusher, Target, Trust, backfill_query
from kilowatch.client.journal import Journal, Summary, digest_of
from kilowatch.client.source import read
from kilowatch.client.upload import upload
from kilowatch.model.errors import KilowatchError

PASSWORD = "KILOWATCH_PUSH_PASSWORD"  # noqa: S105 - the name of a variable
SHOWN = 20
"""Refused lines that the summary shows; the rest is counted."""

CONNECTIONS = 16
OUTCOMES = ("accepted", "backfilled", "duplicate", "discarded", "refused")
REASON_LENGTH_MAX = 200


def push(  # noqa: PLR0917 - a command has as many options as it needs
    files: Annotated[list[Path], typer.Argument(help="CSV or NDJSON files, oldest packets first.")],
    url: Annotated[str, typer.Option(help="The push server, e.g. https://localhost:8443.")],
    user: Annotated[str, typer.Option(help="User name of the credential.")],
    password_file: Annotated[
        Path | None, typer.Option(help=f"File with the password; else ${PASSWORD}, or asked for.")
    ] = None,
    stream: Annotated[
        str | None, typer.Option(help="Stream id of packets that do not name theirs.")
    ] = None,
    cacert: Annotated[
        Path | None, typer.Option(help="The server's certificate, if it is self-signed.")
    ] = None,
    insecure: Annotated[bool, typer.Option(help="Trust any certificate.")] = False,
    backfill: Annotated[
        bool, typer.Option("--backfill", help="Put packets older than the latest into history.")
    ] = False,
    reason: Annotated[
        str, typer.Option(help="Why, for the history of the data points; with --backfill.")
    ] = "",
    restart: Annotated[
        bool, typer.Option(help="Forget what an earlier run has pushed of these files.")
    ] = False,
) -> None:
    """Push packets from files in order; a run that was stopped goes on where it was."""
    console = Console(highlight=False, soft_wrap=True)
    target = Target.parse(url, user, read_password(password_file, user), Trust(cacert, insecure))
    query = _history(backfill, reason)
    refused = 0
    for file in files:
        if not file.is_file():
            raise KilowatchError("unreadable_file", f"There is no file {file}.")
        summary = _push_file(console, file, target, stream, query, restart=restart)
        refused += summary.counts["refused"]
    if refused:
        raise typer.Exit(1)


def _history(backfill: bool, reason: str) -> str:
    """Return what to add to the push address.

    Raises:
        KilowatchError: ``bad_reason``.
    """
    if not backfill and reason:
        raise KilowatchError(
            "bad_reason", "--reason belongs to --backfill.", remedy="Give both, or neither."
        )
    if len(reason) > REASON_LENGTH_MAX:
        raise KilowatchError(
            "bad_reason", f"The reason is longer than {REASON_LENGTH_MAX} characters."
        )
    return backfill_query(reason) if backfill else ""


def read_password(file: Path | None, user: str) -> str:
    """Return the password from a file, the environment, or the person at the terminal.

    Raises:
        KilowatchError: It is nowhere to be had.
    """
    named = os.environ.get(f"{PASSWORD}_FILE")
    file = file or (Path(named) if named else None)
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise KilowatchError(
                "no_password", f"The password file {file} cannot be read: {error.strerror}."
            ) from None
    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    if not sys.stdin.isatty():
        raise KilowatchError(
            "no_password",
            "No password was given.",
            remedy=f"Use --password-file, or set {PASSWORD}.",
        )
    return str(typer.prompt(f"Password of {user}", hide_input=True))


def _push_file(
    console: Console,
    file: Path,
    target: Target,
    stream: str | None,
    query: str,
    *,
    restart: bool,
) -> Summary:
    digest, total = digest_of(file)
    aim = f"{target.authority}{target.prefix} {target.username} {stream or ''}"
    if query:  # what an ordinary run saw discarded has still to go into history
        aim += " backfill"
    place = Journal.place(_state_folder(), digest, aim)
    if restart:
        place.unlink(missing_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        Journal(place) as journal,
        Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress,
    ):
        if journal.summary.resumed:
            console.print(f"{escape(file.name)}: going on after {journal.summary.resumed} packets.")
        bar = progress.add_task(escape(file.name), total=total)

        def trouble(stream_id: str, answer: Answer, pause_s: float) -> None:
            if pause_s >= 1.0:
                progress.console.print(
                    f"{escape(stream_id)}: {escape(answer.detail)}; again in {pause_s:.0f} s"
                )

        async def run() -> None:
            async with Pusher(
                target, connections=CONNECTIONS, on_trouble=trouble, query=query
            ) as pusher:
                lines = read(file, stream)
                await upload(lines, pusher, journal, lambda _: progress.advance(bar))

        try:
            asyncio.run(run())
        except KeyboardInterrupt:
            progress.stop()
            _show(console, file, journal.summary)
            console.print("Stopped. The same command goes on from here.")
            raise typer.Exit(130) from None
    _show(console, file, journal.summary)
    return journal.summary


def _show(console: Console, file: Path, summary: Summary) -> None:
    counts = ", ".join(
        f"{summary.counts[outcome]} {outcome}"
        for outcome in OUTCOMES
        if outcome != "backfilled" or summary.counts[outcome]
    )
    console.print(f"[bold]{escape(str(file))}[/bold]: {counts}")
    for refusal in summary.refused[:SHOWN]:
        where = f"line {refusal.line}" + (f", {refusal.stream_id}" if refusal.stream_id else "")
        console.print(escape(f"  {where}: {refusal.code}: {refusal.detail}"))
    if len(summary.refused) > SHOWN:
        console.print(f"  … and {len(summary.refused) - SHOWN} more")
    if summary.counts["discarded"]:
        console.print(
            "  Discarded packets are kept; the data point's Attributes page shows them,"
            " and --backfill puts them into history."
        )
    for name, times in summary.ignored.most_common(SHOWN):
        console.print(escape(f"  parameter {name} is not in the contract, ignored {times} times"))


def _state_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "kilowatch" / "push"


def register(app: typer.Typer) -> None:
    """Add ``kilowatch push`` to the command line."""
    app.command()(push)

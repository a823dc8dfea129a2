"""The measurements of a data folder whose platform does not run, read by a command itself.

The command takes the platform's place for as long as it reads: the lock, so that no platform
starts meanwhile, and its pipeline, so that packets that the log holds and the store does not are
in the answer. What it computes is written, as the platform would write it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kilowatch.catalog import Catalog
from kilowatch.catalog.directory import Directory
from kilowatch.cli.directory_watch import DirectoryWatch
from kilowatch.cli.exporting import file_for_shell, places_of, planned, silent_of
from kilowatch.cli.logs import configure_logs
from kilowatch.cli.registration import Server
from kilowatch.cli.serve import alone
from kilowatch.exports import memory
from kilowatch.exports.definition import Definition
from kilowatch.exports.slices import Reader
from kilowatch.log import LogReader
from kilowatch.model.errors import KilowatchError
from kilowatch.pipeline.consumer import Consumer, PipelineSettings
from kilowatch.pipeline.streams import Streams
from kilowatch.pipeline.view import View
from kilowatch.store.chdb_store import ChdbStore

SETTINGS = PipelineSettings(late_quiet_s=0.0, flush_in_background=False)
"""Nobody waits for pages, and nothing arrives: what is late is computed again at once."""


@contextmanager
def file(
    server: Server, asked: Definition, word: str, actor: str
) -> Iterator[tuple[Iterator[bytes], str]]:
    """Open an export of a folder at rest: its pieces, and which data points have nothing to tell.

    Args:
        server: Whose folder.
        asked: What is exported.
        word: A word of ``definition.FORMATS``.
        actor: Who exports.
    """
    memory.bound_allocators()
    with server.opened() as registered, measurements(server, registered) as (view, directory):
        places = places_of(registered, directory.points.values(), asked)
        made = planned(view, places, asked, time.time_ns() // 1_000_000)
        yield file_for_shell(Reader(view), made, actor, word), silent_of(made)


@contextmanager
def measurements(server: Server, registered: Catalog) -> Iterator[tuple[View, Directory]]:
    """Open the measurements of a folder at rest, with every packet that it has taken in.

    Args:
        server: Whose folder.
        registered: Its catalogue, open.

    Raises:
        KilowatchError: 409 ``already_running`` while a platform starts or ends; 503 where log or
            store cannot be read.
    """
    configure_logs("warning", "export")  # to standard error: the file may go to standard output
    folder = server.folder
    with alone(folder, "platform", "It is starting or stopping: ask again in a moment."):
        watch = DirectoryWatch(registered, server.environment)
        reader, streams = LogReader(folder.log), Streams()
        try:
            store = ChdbStore(folder.store)
            try:
                consumer = Consumer(
                    log=reader, store=store, state_path=folder.pipeline, points=watch.now,
                    reload=watch.reload, streams=streams, settings=SETTINGS,
                )  # fmt: skip
                try:
                    while consumer.step() or streams.seq < reader.last_seq():
                        _go_on(streams)
                    yield View(streams, reader), watch.now()
                finally:
                    consumer.finish()
            finally:
                store.close()
        finally:
            reader.close()
            watch.close()


def _go_on(streams: Streams) -> None:
    if streams.fault:
        raise KilowatchError(
            "store_failed",
            f"The log could not be taken in: {streams.fault}",
            status=503,
            remedy="Make room on the disk, or start the platform and look at `kilowatch status`.",
        )

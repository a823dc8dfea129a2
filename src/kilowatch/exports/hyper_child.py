"""Turn a Parquet file into a Tableau extract: ``python -m kilowatch.exports.hyper_child IN OUT``.

A process of its own: Tableau's engine starts a server beside it and takes memory of its own, and
what goes wrong there must not reach the platform. The engine reads Parquet by itself, so that no
row passes through Python.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq

MEMORY = "600m"
"""What the engine may take for a query; the rest it keeps on disk."""


def convert(source: Path, target: Path) -> None:
    """Write the extract, with one table ``Extract`` as Tableau expects it.

    Tableau knows no instants with a zone: those in UTC become plain times, which their names say.
    """
    from tableauhyperapi import (  # noqa: PLC0415 - an extra that need not be there
        Connection,
        CreateMode,
        HyperProcess,
        Telemetry,
        escape_name,
        escape_string_literal,
    )

    columns = []
    for field in pq.read_schema(source):
        name = escape_name(field.name)
        utc = getattr(field.type, "tz", None) is not None
        columns.append(f"CAST({name} AT TIME ZONE 'UTC' AS TIMESTAMP) AS {name}" if utc else name)
    parameters = {"log_config": "", "memory_limit": MEMORY, "default_database_version": "2"}
    with (
        HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=parameters) as engine,
        Connection(engine.endpoint, str(target), CreateMode.CREATE_AND_REPLACE) as connection,
    ):
        connection.catalog.create_schema("Extract")
        file = f"external({escape_string_literal(str(source))}, FORMAT => 'parquet')"
        connection.execute_command(
            f'CREATE TABLE "Extract"."Extract" AS SELECT {", ".join(columns)} FROM {file}'  # noqa: S608
        )


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))

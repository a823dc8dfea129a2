"""Measure what a workbook costs, beside XlsxWriter's own way with cells and beside CSV.

    .venv/bin/python scripts/bench_excel.py [--rows 30000]

One made-up long table, as an export has it (thirteen columns, hourly figures of a hundred data
points), is written three times in one process: by XlsxWriter cell by cell in its constant-memory
mode, as it was done before; by ``excel_file.py``; and as CSV. Both workbooks are read again and
compared. The ratio of processor times holds on a busy machine, too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import xlsxwriter
from python_calamine import CalamineWorkbook

from kilowatch.exports.csv_file import csv_chunks, offset_texts
from kilowatch.exports.excel_file import FORMATS, Wording, excel_chunks
from kilowatch.exports.tables import CODED, TYPES, Heading, Table, schema_of

HOUR_MS = 3_600_000
BATCH = 10_000
HEADINGS = [
    Heading("start_local", "local"), Heading("utc_offset_min", "offset", "min"),
    Heading("start_utc", "utc"), Heading("duration_s", "count", "s"),
    Heading("organisation", "text"), Heading("site", "text"), Heading("stream_id", "text"),
    Heading("data_point", "text"), Heading("parameter", "text"), Heading("unit", "text"),
    Heading("value", "number"), Heading("quality", "text"), Heading("completeness", "share"),
]  # fmt: skip
WORDS = Wording("Data", "Notes", lambda one, _zone: one.name, lambda _written: [("Rows", "all")])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=30_000)
    rows = parser.parse_args().rows
    values = rows * len(HEADINGS)
    load = os.getloadavg()[0]
    print(f"{rows:,} rows of {len(HEADINGS)} cells, load average {load:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("cells.xlsx", "rows.xlsx", "rows.csv")]
        cells_s = _cpu_s(lambda: _by_cells(paths[0], _table(rows)))
        rows_s = _cpu_s(lambda: paths[1].write_bytes(b"".join(excel_chunks(_table(rows), WORDS))))
        csv_s = _cpu_s(lambda: paths[2].write_bytes(b"".join(csv_chunks(_table(rows)))))
        for title, took_s, path in zip(
            ("XlsxWriter, cell by cell", "exports.excel_file", "CSV"), (cells_s, rows_s, csv_s),
            paths, strict=True,
        ):  # fmt: skip
            size = path.stat().st_size / rows
            told = f"{rows / took_s:10,.0f} rows, {values / took_s:12,.0f} cells a CPU second"
            print(f"{title:26} {took_s:8.2f} CPU s {told}, {size:6.1f} bytes a row")
        print(f"{cells_s / rows_s:.1f} times as fast as cell by cell")
        assert _read(paths[0]) == _read(paths[1]), "both workbooks say the same"


def _table(rows: int) -> Table:
    return Table(HEADINGS, _batches(rows), "Europe/Dublin")


def _batches(rows: int) -> Iterator[pa.RecordBatch]:
    schema = schema_of(HEADINGS, coded=True)
    random = np.random.default_rng(1)
    for first in range(0, rows, BATCH):
        n = np.arange(first, min(first + BATCH, rows))
        at_ms = 1_700_000_000_000 + n * HOUR_MS
        names = pa.array(n // 100 % 100, pa.int32())
        values = np.where(n % 50 == 7, np.nan, np.round(random.uniform(0, 90, len(n)), 4))
        columns = [
            pa.array(at_ms + HOUR_MS).cast(TYPES["local"]),
            pa.array(np.full(len(n), 60, np.int16)),
            pa.array(at_ms).cast(TYPES["utc"]),
            pa.array(np.full(len(n), 3_600)),
            *(
                pa.DictionaryArray.from_arrays(names, pa.array([f"{word} {k}" for k in range(100)]))
                for word in ("Acme", "Office", "stream-000", "Circuit", "pC", "kWh")
            ),
            pa.array(values, from_pandas=True),
            pa.array(["valid"] * len(n)).dictionary_encode().cast(CODED),
            pa.array(np.full(len(n), 0.975)),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _by_cells(path: Path, table: Table) -> None:
    """Write a table as it was done before: each cell through Python."""
    book = xlsxwriter.Workbook(
        str(path), {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    formats = {kind: book.add_format({"num_format": text}) for kind, text in FORMATS.items()}
    sheet = book.add_worksheet("Data")
    for k, one in enumerate(table.headings):
        sheet.write_string(0, k, one.name)
    row = 1
    for batch in table.batches:
        columns = []
        for k, one in enumerate(table.headings):
            column = batch.column(k)
            if one.kind in ("local", "utc"):
                columns.append((np.asarray(column.cast(pa.int64())) / 86_400_000 + 25_569).tolist())
            elif one.kind == "offset":
                columns.append(offset_texts(column).to_pylist())
            else:
                columns.append(column.to_pylist())
        for n in range(batch.num_rows):
            for k, one in enumerate(table.headings):
                cell = columns[k][n]
                if cell is not None:
                    text = one.kind in ("text", "offset")
                    write = sheet.write_string if text else sheet.write_number
                    write(row, k, cell, formats.get(one.kind))
            row += 1
    book.close()


def _cpu_s(write: Callable[[], object]) -> float:
    began_s = time.process_time()
    write()
    return time.process_time() - began_s


def _read(path: Path) -> list[list[str]]:
    sheet = CalamineWorkbook.from_path(path).get_sheet_by_index(0)
    return [[repr(cell) for cell in row] for row in sheet.to_python()]


if __name__ == "__main__":
    main()

"""Exports: measurements as a file, of any length, in slices.

Promises: the memory does not grow with the file; what is unknown is empty, never zero; a file
that is too long for its format is refused before work is done, never cut; each row has its
instant in UTC beside the local time.
Refuses: to decide who may have what (the dashboard does), to know the catalogue, to compute a
figure (the pipeline owns every number).
Read first: ``definition.py`` (what a person asks for), ``plan.py`` (what that means for the data
points there are), ``long_rows.py`` and ``wide_rows.py`` (slices to rows), then one writer:
``csv_file.py``, ``excel_file.py``, ``parquet_file.py``, ``hyper_file.py``.
"""

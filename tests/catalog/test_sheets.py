"""Tables come and go as spreadsheets write them, and no cell of ours runs in anybody's Excel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.catalog import sheets
from kilowatch.model.errors import KilowatchError

COLUMNS = ("name", "site", "register_max")

# What a name can be: printable, without spaces at its ends; the first characters are the edge.
cells = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "=", "+", "-", "@", "'", "''", "'=", "'-", ";", ",", '"']),
        st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8),
    ),
).filter(lambda text: len(text) <= sheets.CELL_MAX)


@given(st.lists(st.tuples(cells, cells, cells), max_size=6), st.sampled_from([",", ";", "\t"]))
def test_what_is_written_is_read_as_it_was(rows: list[tuple[str, ...]], separator: str) -> None:
    """Export, open, save, import: not a character of a name is different."""
    content = sheets.write(COLUMNS, rows, separator)
    kept = [row for row in rows if any(row)]
    read = sheets.read(content, COLUMNS)
    assert [tuple(line.cells.values()) for line in read.lines] == kept


@given(cells)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    """A meter named =HYPERLINK(…) must not phone home from the administrator's spreadsheet."""
    assert not sheets.harmless(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize(
    ("content", "encoding", "separator"),
    [
        ("name,site\nKühlung,Köln\n".encode(), "utf-8", ","),
        ("\ufeffname;site\r\nKühlung;Köln\r\n".encode(), "utf-8", ";"),
        ("name\tsite\r\nKühlung\tKöln\r\n".encode("utf-16"), "utf-16", "\t"),
        ("name;site\r\nKühlung;Köln\r\n".encode("cp1252"), "windows-1252", ";"),
        ("sep=;\r\nName;SITE\r\nKühlung;Köln\r\n".encode(), "utf-8", ";"),
        ("name,site,\nKühlung,Köln,\n,,\n".encode(), "utf-8", ","),
    ],
)
def test_every_way_in_which_excel_saves_a_table_is_read(
    content: bytes, encoding: str, separator: str
) -> None:
    """Nobody has to know what a byte order mark is."""
    sheet = sheets.read(content, COLUMNS)
    assert (sheet.encoding, sheet.separator) == (encoding, separator)
    assert [line.cells for line in sheet.lines] == [{"name": "Kühlung", "site": "Köln"}]


def test_line_numbers_are_those_of_the_file() -> None:
    """The line that a message names is the line that the editor shows, whatever came before."""
    content = b'sep=,\nname,site\n\n"two\nlines",x\nlast,y\n'
    assert [line.number for line in sheets.read(content, COLUMNS).lines] == [4, 6]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\n", "column 'name' is missing"),
        (b"site\nOffice\n", "column 'name' is missing"),
        (b"name,sight\n", "Did you mean 'site'"),
        (b"name,name\n", "twice"),
        (b"name,site\nBoiler,Office,extra\n", "Line 2 has 3 cells"),
        (b'name\n"Boiler\n', "Line 2 cannot be read"),
        (b'name\n"Boi"ler\n', "Line 2 cannot be read"),
        (b"PK\x03\x04\x00\x00name", "not a text file"),
        (b"\xff\xfen\x00a", "is damaged"),
        (b"name\n" + b"x" * 32_768, "more than 32767 characters"),
        (b"name\n" + b"x\n" * 20_001, "more than 20,000 lines"),
        (b"x" * (sheets.BYTES_MAX + 1), "more than 8 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_what_to_do(content: bytes, says: str) -> None:
    """An .xlsx by mistake, a forgotten quote: one sentence, one next step."""
    with pytest.raises(KilowatchError) as refused:
        sheets.read(content, COLUMNS, ("name",))
    assert says in str(refused.value)
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("text", "separator", "means"),
    [
        ("1000000", ",", 1e6), ("1000000,5", ";", 1000000.5), ("1.000.000,5", ";", 1000000.5),
        ("1,000,000.5", ",", 1000000.5), ("1'000'000", ";", 1e6), ("1 000 000", ",", 1e6),
        ("1\u202f000", ";", 1000.0), ("12,5", ",", 12.5), ("1e6", ",", 1e6), ("1.5", ";", 1.5),
        ("1,5", ";", 1.5), ("-2,5", ";", -2.5),
    ],
)  # fmt: skip
def test_a_number_is_read_as_its_country_writes_it(text: str, separator: str, means: float) -> None:
    """A decimal comma is no thousand."""
    assert sheets.number(text, separator) == means


@pytest.mark.parametrize(
    ("text", "separator"),
    [("1.000", ";"), ("1,00,0", ","), ("six", ","), ("1.0.0", ","), ("", ";")],
)
def test_a_number_that_could_be_two_is_refused(text: str, separator: str) -> None:
    """1.000 is one to one reader and a thousand to another: we ask rather than guess."""
    with pytest.raises(ValueError, match=r".*"):
        sheets.number(text, separator)

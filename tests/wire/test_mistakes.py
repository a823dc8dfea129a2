"""Malformed JSON: where it is and what was expected, so that it is mended in a minute."""

from __future__ import annotations

import gzip
import time

import pytest

from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form
from kilowatch.wire import decode


def refusal(body: bytes | str) -> KilowatchError:
    """Return the error that a body is answered with."""
    with pytest.raises(KilowatchError) as caught:
        decode(body.encode() if isinstance(body, str) else body, Form.LOCAL)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("body", "line", "column", "expected", "remedy"),
    [
        ("", 1, 1, "a value", "Content-Length"),
        (" \n ", 2, 2, "a value", "empty"),
        ("{", 1, 2, "name", "cut off"),
        ('{"id"', 1, 6, "':'", "cut off"),
        ('{"id":', 1, 7, "a value", "cut off"),
        ('{"id":"m"', 1, 10, "','", "cut off"),
        ('{"id":"m', 1, 7, "closing double quote", "cut off"),
        ('{"id":"m",\n "value" 1}', 2, 10, "':'", ""),
        ('{"id":"m",\n "value":1\n "aP_1":2}', 3, 2, "','", ""),
        ('{"id":"m",\n "value":1,}', 2, 12, "name", "Remove the comma"),
        ('{"id":"m","value":1,5}', 1, 21, "name", "decimals with a point"),
        ("{'id':'m'}", 1, 2, "name", "double quotes"),
        ("{id:'m'}", 1, 2, "name", ""),
        ("{\"id\":'m'}", 1, 7, "a value", "double quotes"),
        ('{"id":"m",//x\n"value":1}', 1, 11, "name", "comments"),
        ('{"id":"m","value":0x1F}', 1, 20, "','", ""),
        ('{"id":"m","value":007}', 1, 20, "','", "leading zeros"),
        ('{"id":"m","value":.5}', 1, 19, "a value", "both sides"),
        ('{"id":"m","value":1.}', 1, 20, "','", "both sides"),
        ('{"id":"m","value":+1}', 1, 19, "a value", "plus sign"),
        ('{"id":"m","value":True}', 1, 19, "a value", ""),
        ('{"id":"a\tb"}', 1, 9, "control character", ""),
        ('{"id":"a\x00b"}', 1, 9, "control character", ""),
        ('{"id":"a\\qb"}', 1, 9, "escape", ""),
        ('{"id":"a\\u12"}', 1, 10, "hexadecimal", ""),
        ("id=m&value=1", 1, 1, "a value", "begins with {"),
        ("<packet/>", 1, 1, "a value", "begins with {"),
    ],
)
def test_malformed_json_is_refused_with_its_place(
    body: str, line: int, column: int, expected: str, remedy: str
) -> None:
    """Line and column count from 1, as editors do, and the message says what belongs there."""
    found = refusal(body)
    assert found.code == "invalid_json"
    assert (found.data["line"], found.data["column"]) == (line, column)
    assert expected in found.data["expected"]
    assert f"line {line}, column {column}: expected" in found.detail
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("body", "column"),
    [
        ("{“id”:”m”}", 2),
        ('{"id":“m”}', 7),
        ('{"id":"m”,"value":1}', 9),
        ('{"id":"m","value”:1}', 17),
        ("{«id»:1}", 2),
        ("{„id“:1}", 2),
        ("{\u2018id\u2019:1}", 2),
        ('{"id":’m’}', 7),
        ("{″id″:1}", 2),
    ],
)
def test_typographic_quotes_are_recognised_and_named(body: str, column: int) -> None:
    """An example copied out of a web page or a document carries them."""
    found = refusal(body)
    assert found.code == "typographic_quotes"
    assert (found.data["line"], found.data["column"]) == (1, column)
    assert "typographic quote" in found.detail
    assert "plain ones" in found.remedy


def test_typographic_quotes_of_windows_1252_are_recognised_too() -> None:
    """Its bytes are no UTF-8; read as ISO-8859-1 they are control characters."""
    body = '{“id”:"m"}'.encode("cp1252")
    assert refusal(body).code == "typographic_quotes"


def test_typographic_quotes_inside_a_right_packet_are_text_like_any_other() -> None:
    """Only where JSON needs a plain quote are they a mistake."""
    body = '{"id":"“m”","tsISO8601":"2026-03-29T14:05Z","value":1}'
    assert decode(body.encode(), Form.LOCAL).stream_id == "“m”"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised(codec: str) -> None:
    """A client on Windows sends it unless told otherwise."""
    assert "UTF-16" in refusal('{"id":"m"}'.encode(codec)).remedy


def test_a_compressed_body_without_its_header_is_recognised() -> None:
    """A client that compresses and forgets to say so reads what to add, not of a byte 1f."""
    body = gzip.compress(b'{"id":"m","tsISO8601":"2026-03-29T14:05Z","value":1}')
    assert "Content-Encoding: gzip" in refusal(body).remedy


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ('"1.5"', '"value": 1.5'),
        ('" 1.5 "', '"value": 1.5'),
        ('"1,5"', "decimals after a point"),
        ('"1,500"', "decimals after a point"),  # which of two numbers it is, the sender knows
        ('"n/a"', "null"),
        ("true", "1 or 0"),
        ("[1,2]", "one number"),
        ('{"avg":1}', "one number"),
    ],
)
def test_what_is_no_number_is_answered_with_how_to_write_it(value: str, remedy: str) -> None:
    """Each kind of mistake has its own way out, for the person who reads a gateway's log."""
    found = refusal('{"id":"m","tsISO8601":"2026-03-29T14:05Z","value":%s}' % value)  # noqa: UP031
    assert found.code == "not_a_number"
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("body", "code", "remedy"),
    [
        ('{"ID":"m","tsISO8601":"2026-03-29T14:05Z","value":1}', "missing_id", 'not "ID"'),
        ('{"stream":"m","value":1}', "missing_id", 'Name it "id", not "stream"'),
        ('{"value":1}', "missing_id", "registered with"),
        ('{"id":"m","ts":"2026-03-29T14:05Z","value":1}', "missing_timestamp", 'not "ts"'),
        ('{"id":"m","TsIso8601":"2026-03-29T14:05Z"}', "missing_timestamp", '"tsISO8601", not'),
        ('{"id":"m","tsISO8601":null,"value":1}', "missing_timestamp", "such as"),
    ],
)
def test_a_member_under_another_name_is_pointed_at(body: str, code: str, remedy: str) -> None:
    """Clients of other platforms say ``ts`` or ``ID``: 'missing' alone misleads."""
    found = refusal(body)
    assert found.code == code
    assert remedy in found.remedy


def test_a_packet_that_cannot_be_read_is_filed_under_its_stream_where_it_can_be_seen() -> None:
    """So the data point's page shows the refused packet, and not just a counter."""
    assert refusal('{"id": "m-1", "value": 1,}').data["stream_id"] == "m-1"
    assert "stream_id" not in refusal('{"value": 1,}').data


@pytest.mark.parametrize(
    "body",
    [
        b'{"x":"' + b'\\"' * 32_000, b'"' * 65_536, b"[]" * 32_000, b'{"a":' + b"9" * 65_000,
        b'{"id"' + b" " * 65_000, b'{"a":1,' + b" " * 65_000, b'{"x":' + b'"\\u201c' * 8_000,
        b"{" + b'"":0,' * 13_000, b'{"a":1' + b"1," * 32_000, b"\xff" * 65_536, b"-" * 65_536,
        b'{"id":"m","tsISO8601":"' + b"00:00:00.1" * 6_500 + b'","value":1}',
        b'{"id":"m","tsISO8601":"2026-03-29T14:05:00.' + b"1" * 65_000 + b'","value":1}',
    ],
)  # fmt: skip
def test_no_body_of_64_kib_keeps_the_decoder_busy(body: bytes) -> None:
    """A hostile body must not hold up the packets of others."""
    start = time.thread_time()
    with pytest.raises(KilowatchError):
        decode(body, Form.LOCAL)
    assert time.thread_time() - start < 0.5  # of the processor, whoever else wants it


@pytest.mark.parametrize(
    ("body", "column"),
    [
        ('{"note":"“hi”","aP_1":x}', 23),
        ('{"id":"a","note":"say “hi”","aP_1":1,}', 38),
    ],
)
def test_a_quoted_word_inside_a_text_is_not_blamed_for_another_mistake(
    body: str, column: int
) -> None:
    """The place that is named is the place to mend."""
    found = refusal(body)
    assert found.code == "invalid_json"
    assert found.data["column"] == column

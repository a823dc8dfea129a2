"""The push API's contract: packets, answers and what is kept."""

import json
import re
from typing import Any

import pytest

from kilowatch.log import LogReader
from kilowatch.model.parameters import FAMILIES, WIRE_CHANNELS
from tests.collector.harness import PATH, Server, answers, packet, request


def named(prefix: str, *suffixes: str) -> str:
    """Return a row's first cell for the parameters of a family."""
    return " ".join(f"`{prefix}_{suffix}`" for suffix in suffixes)


PHASES = ("1", "2", "3")
PER_PHASE = ("aP", "rP", "apP", "v", "c", "pC", "pF", "thdV", "thdC", "pE", "qC", "qE")


@answers(
    "`id`",
    "`tsISO8601`",
    "`f`",
    named("v", "12", "23", "31"),
    *(named(prefix, *PHASES) for prefix in PER_PHASE),
)
def test_every_parameter_of_the_tables_is_known(shared: Server) -> None:
    """None of the contract's names ends up among the ignored ones, ours included."""
    every: dict[str, Any] = {name: 0.5 for name in WIRE_CHANNELS if name != "v_13"}
    assert len(every) == sum(len(family.suffixes) or 1 for family in FAMILIES)
    assert shared.push(packet("load-10", **every)).json == {"status": "accepted"}


def test_v_13_and_v_31_are_the_same_parameter(shared: Server) -> None:
    """Both names are in use: the same packet under either is a duplicate."""
    assert shared.push(packet("load-11", v_13=400)).json == {"status": "accepted"}
    assert shared.push(packet("load-11", v_31=400)).json == {"status": "duplicate"}


@answers("`value`")
def test_a_single_value_point_takes_one_number(shared: Server) -> None:
    """Gas, water, heat, temperature: one number and its time."""
    assert shared.push(packet("gas", value=1234.5)).json == {"status": "accepted"}


@answers("a valid packet", "200")
def test_a_200_means_that_the_packet_is_in_the_log(server: Server) -> None:
    """Right after the answer another process finds it on disk."""
    assert server.push(packet()).json == {"status": "accepted"}
    reader = LogReader(server.settings.log_path)
    entries = reader.read(0)
    assert [json.loads(entry.body) for entry in entries] == [packet()]
    reader.close()


@answers("the same packet again")
def test_a_repeat_is_a_duplicate_and_counts_once(server: Server) -> None:
    """A client that lost our answer sends again; the energy is counted once."""
    first = server.push(packet(aP_1=1, aP_2=2))
    again = server.push(packet(aP_2=2.0, aP_1=1))
    assert (first.json, again.json) == ({"status": "accepted"}, {"status": "duplicate"})
    assert len(LogReader(server.settings.log_path).read(0)) == 1


@answers("a packet that is not after the latest one of its stream", "an older packet again")
def test_a_late_packet_is_discarded_with_200_and_kept(server: Server) -> None:
    """Clients in use repeat a refused packet for ever, so it is never refused."""
    server.push(packet(at="2024-06-01T12:00:00.250+02:00"))
    older = packet(at="2024-06-01T11:59:00+02:00")
    for _ in range(2):
        reply = server.push(older)
        assert reply.status == 200
        assert reply.json == {
            "status": "discarded",
            "reason": "not_chronological",
            "latest": "2024-06-01T12:00:00.250+02:00",
        }
    other_values = server.push(packet(at="2024-06-01T12:00:00.250+02:00", aP_1=7))
    assert other_values.json["status"] == "discarded"
    kept = LogReader(server.settings.log_path).kept(1, 10)
    assert {one.code for one in kept} == {"not_chronological"}


def test_order_is_decided_by_the_instant_and_not_by_the_local_time(shared: Server) -> None:
    """The hour that comes twice in autumn is in order."""
    assert shared.push(packet("load-12", "2024-10-27T02:30:00+02:00")).json["status"] == "accepted"
    assert shared.push(packet("load-12", "2024-10-27T02:15:00+01:00")).json["status"] == "accepted"


@answers("`null` for a parameter")
def test_null_is_as_if_absent(shared: Server) -> None:
    """A gateway that has no reading for a phase sends null."""
    assert shared.push(packet("load-13", aP_1=1, aP_2=None)).json == {"status": "accepted"}
    assert shared.push(packet("load-13", aP_1=1)).json == {"status": "duplicate"}


@answers("a parameter that is not in the tables")
def test_an_unknown_parameter_is_named(shared: Server) -> None:
    """A typo must not lose data silently."""
    reply = shared.push(packet("load-14", aP_1=1, ap_2=2))
    assert reply.json == {"status": "accepted", "ignored": ["ap_2"]}
    reply = shared.push(packet("load-14", aP_1=1, ap_2=2))
    assert reply.json == {"status": "duplicate", "ignored": ["ap_2"]}
    reply = shared.push(packet("load-14", "2024-01-01T00:00Z", aP_1=1, ap_2=2))
    assert reply.json["ignored"] == ["ap_2"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no known parameter": ({"power": 1}, "no_known_parameter"),
    "`value` and electrical parameters in one packet": ({"value": 1, "aP_1": 1}, "mixed_kinds"),
    "a kind that the data point is not registered for": ({"value": 1}, "kind_mismatch"),
}


@answers(*REFUSED, "400")
@pytest.mark.parametrize(("values", "code"), REFUSED.values())
def test_a_packet_that_does_not_fit_is_refused(
    shared: Server, values: dict[str, Any], code: str
) -> None:
    """What can't be a reading of this data point never becomes one."""
    reply = shared.push(packet("load-15", **values))
    assert (reply.status, reply.code) == (400, code)
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["type"] == f"urn:kilowatch:problem:{code}"
    assert reply.json["status"] == 400
    assert reply.json["title"]
    assert reply.json["detail"]


def test_electrical_parameters_to_a_single_value_point_are_refused(shared: Server) -> None:
    """The other way round."""
    reply = shared.push(packet("gas", aP_1=1))
    assert (reply.status, reply.code) == (400, "kind_mismatch")


@answers("a number as a string, a boolean, `NaN`, `Infinity`, a number outside double range")
@pytest.mark.parametrize("value", ['"12.5"', "true", "NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused_by_name(shared: Server, value: str) -> None:
    """The answer says which parameter it was."""
    body = '{"id":"load-16","tsISO8601":"2024-06-01T12:00Z","aP_1":1,"aP_2":%s}' % value  # noqa: UP031
    reply = shared.push(body=body.encode())
    assert (reply.status, reply.json["parameter"]) == (400, "aP_2")


@answers("an array, two objects, or anything after the object")
@pytest.mark.parametrize("form", ["[{0}]", "{0}{0}", "{0} x", "{0},", "[{0},{0}]"])
def test_one_packet_per_request(shared: Server, form: str) -> None:
    """Batches are refused by name; otherwise half of one would be lost in silence."""
    reply = shared.push(body=form.format(json.dumps(packet("load-17"))).encode())
    assert (reply.status, reply.code) == (400, "not_one_packet")
    assert "one packet per request" in reply.json["detail"].lower()


@answers("malformed JSON")
def test_malformed_json_is_told_with_line_and_column(shared: Server) -> None:
    """Line, column and what was expected."""
    reply = shared.push(body=b'{"id":"load-18",\n "tsISO8601" "2024-06-01T12:00Z"}')
    assert (reply.status, reply.code) == (400, "invalid_json")
    assert (reply.json["line"], reply.json["column"]) == (2, 14)
    assert reply.json["expected"]


@answers("typographic quotes")
def test_typographic_quotes_are_named(shared: Server) -> None:
    """Copied out of a document, they look right and are not."""
    body = '{“id”:"load-18","tsISO8601":"2024-06-01T12:00Z","aP_1":1}'
    reply = shared.push(body=body.encode())
    assert (reply.status, reply.code) == (400, "typographic_quotes")


@answers("`tsISO8601` absent, without UTC offset, or not ISO 8601")
@pytest.mark.parametrize(
    "stamp", [None, "2024-06-01T12:00:00", "1.6.2024 12:00", "2024-13-01T12:00Z", 1717243200, ""]
)
def test_a_wrong_timestamp_is_answered_with_a_right_one(shared: Server, stamp: Any) -> None:
    """An example says more than a format string."""
    sent = {"id": "load-19", "aP_1": 1} | ({} if stamp is None else {"tsISO8601": stamp})
    reply = shared.push(sent)
    assert reply.status == 400
    assert re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d", reply.json["remedy"])


@answers("a timestamp before 1971 or more than 24 h in the future")
@pytest.mark.parametrize(
    ("stamp", "code"),
    [
        ("1970-12-31T23:59:59Z", "timestamp_too_old"),
        ("2199-01-01T00:00:00Z", "timestamp_in_future"),
    ],
)
def test_a_broken_clock_is_refused(shared: Server, stamp: str, code: str) -> None:
    """One packet from 2199 would make everything after it "not chronological"."""
    reply = shared.push(packet("load-20", stamp))
    assert (reply.status, reply.code) == (400, code)
    assert shared.push(packet("load-20", "1971-01-01T00:00:00Z")).status == 200


@pytest.mark.parametrize(
    "stamp",
    [
        "2024-06-01T12:00:00.123+02:00",
        "2024-06-01T12:01:00+02:00",
        "2024-06-01T12:02+02:00",
        "2024-06-01T12:03+0200",
        "2024-06-01T12:04+02",
        "2024-06-01T10:05Z",
        "2024-06-01T05:06:00-05:00",
    ],
)
def test_every_spelling_of_a_timestamp_is_understood(shared: Server, stamp: str) -> None:
    """Seconds and fraction may be left out; offsets come in four spellings."""
    assert shared.push(packet("load-21", stamp)).json == {"status": "accepted"}


def test_a_registered_stream_without_data_says_so(shared: Server) -> None:
    """404, but with a code that tells it from a wrong id."""
    reply = shared.latest("quiet")
    assert (reply.status, reply.code) == (404, "no_data_yet")


def test_refused_packets_are_kept_with_their_reason_under_their_stream(server: Server) -> None:
    """The data point's page shows what was refused and why."""
    server.push(packet(aP_1="x"))
    server.push(packet("nothing"))
    server.push(packet("oven"), by="brewery")
    server.stop()
    reader = LogReader(server.settings.log_path)
    assert [one.code for one in reader.kept(1, 10)] == ["not_a_number"]
    assert reader.counters([1])[1].refused == 1
    assert [one.code for one in reader.kept_unknown(1, 10)] == ["stream_unknown"]
    assert [one.code for one in reader.kept_unknown(2, 10)] == ["stream_unknown"]


def test_mixed_answers_on_one_connection_leave_it_open(shared: Server) -> None:
    """A refused packet does not cost the client its session."""
    headers = {"Authorization": shared.authorization("partner")}
    bodies = {b"[]": 400, b'{"id":"nothing"}': 400, b"": 400}
    with shared.connect() as wire:
        for body, status in bodies.items():
            assert wire.ask(request("POST", PATH, body, headers)).status == status
        body = json.dumps(packet("load-22")).encode()
        assert wire.ask(request("POST", PATH, body, headers)).status == 200

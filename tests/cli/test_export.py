"""What is typed after ``kilowatch export``: understood, or refused with what there is to choose."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kilowatch.cli import at_rest
from kilowatch.cli.export_wanted import Places, definition, format_of
from kilowatch.cli.registration import Server
from kilowatch.exports import memory
from kilowatch.exports.definition import Definition
from kilowatch.model.errors import KilowatchError
from tests.cli.conftest import Shell

WRONG: list[tuple[list[str], str, str]] = [
    (["out.doc"], "'.doc' is no format.", "csv, xlsx, parquet, hyper"),
    (["out.csv", "--format", "pdf"], "'pdf' is no format.", "csv, xlsx, parquet, hyper"),
    (["--organization", "Nobody"], "'Nobody'", "Acme"),
    (["--site", "Nowhere"], "no site named 'Nowhere'", "It has:"),
    (["--data-point", "Nothing"], "'Nothing'", "data-point list"),
    (["--grain", "second"], "'second' is no grain.", "source, interval, 15m"),
    (["--layout", "tall"], "'tall' is no layout.", "long, wide"),
    (["--period", "always"], "'always' is no period.", "last_30_days"),
    (["--units", "mega"], "'mega' is no units.", "kilo, plain"),
    (["--zone", "Dublin"], "'Dublin' is no time zone.", "Europe/Dublin"),
    (["--with", "prices"], "'prices' is no further column.", "none, quality, gaps"),
    (["--with", "half_hours"], "Rows of 'hour' have no number", "--grain"),
    (["--from", "09/11/2026"], "'09/11/2026' is not a date.", "2026-11-09"),
    (["--until", "2026-11-09"], "A day is missing.", "2026-11-09"),
    (["--from", "2026-11-09", "--until", "2026-11-01"], "lies before", "Exchange"),
    (["--from", "2026-11-09", "--period", "today"], "were both named", "Leave one"),
]


def test_a_wrong_word_is_named_with_the_right_ones(shell: Shell, acme: dict[str, Any]) -> None:
    """Nothing that was typed is passed over, nothing is written, and no server is needed for it."""
    assert acme
    for arguments, sentence, remedy in WRONG:
        said = shell("export", *arguments)
        assert said.refusal is not None
        assert sentence in said.refusal.detail
        assert remedy in said.refusal.remedy
        assert not said.text


def test_names_mean_what_their_organisation_calls_so(shell: Shell, acme: dict[str, Any]) -> None:
    """Without a name the only organisation is meant; one name of two is asked about."""
    gas = acme["streams"]["gas"]
    server = Server.of(shell.folder)
    with server.reading() as session:
        assert Places((), (), ()).codes(session) == [("place", "o1")]
        by_id = Places((), (), (gas,)).codes(session)
        assert by_id == Places(("acme",), (), ("Gas",)).codes(session)
        assert by_id[0][1].startswith("p")
    shell("startup-package", "--organization", "Bcme", "--email", "bob@example.com")
    with server.reading() as session:
        for places, sentence in (
            (Places((), (), ()), "Which organisation?"),
            (Places((), (), ("Gas",)), "Several organisations have a 'Gas'."),
            (Places((), ("Nowhere",), ()), "No organisation has a 'Nowhere'."),
        ):
            with pytest.raises(KilowatchError) as refusal:
                places.codes(session)
            assert refusal.value.detail == sentence
        assert Places((), (), (gas,)).codes(session) == by_id
        assert Places(("Acme", "Bcme"), (), ()).codes(session) == [("place", "o1"), ("place", "o2")]


def test_one_day_is_from_and_until() -> None:
    """A first day alone is one day; what an ending says need not be said again."""
    asked = definition([], {"from": "2026-11-09"}, parameter=["pC"], extras=["none"])
    assert (str(asked.first), str(asked.last)) == ("2026-11-09", "2026-11-09")
    assert (asked.parameters, asked.extras) == (("pC",), frozenset())
    assert definition([], {}, parameter=[], extras=[]).period == "last_30_days"
    assert [format_of(None, name) for name in ("-", "a.XLSX", "b.parquet", "plain")] == [
        "csv", "xlsx", "parquet", "csv",
    ]  # fmt: skip
    assert format_of("csv", "b.txt") == "csv"


def test_a_folder_at_rest_is_exported_with_bounded_allocators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command writes as long a file as the platform, and holds as little: before it opens."""
    told: list[str] = []
    monkeypatch.setattr(memory, "bound_allocators", lambda: told.append("bounded"))

    class Closed:
        def opened(self) -> None:
            told.append("opened")
            raise KilowatchError("folder_unusable", "There is no such folder.")

    opening = at_rest.file(cast("Any", Closed()), Definition(("o1",)), "csv", "me")
    with pytest.raises(KilowatchError), opening:
        pass
    assert told == ["bounded", "opened"]

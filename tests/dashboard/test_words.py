"""Every text stands in one catalogue, none is missing, and none is left over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import kilowatch.dashboard
from kilowatch.dashboard import words
from kilowatch.dashboard.words import IN_BROWSER, catalogue, locale, t, words_json

ROOM = Path(kilowatch.dashboard.__file__).parent
KEY = re.compile(r"[a-z_0-9]+(\.[a-z_0-9]+)+")


def sources() -> dict[Path, str]:
    """Return everything that can use a text."""
    kinds = ("*.py", "*.html", "*.js")
    paths = [path for kind in kinds for path in ROOM.rglob(kind) if "vendor" not in path.parts]
    return {path: path.read_text(encoding="utf-8") for path in paths}


def calls(text: str) -> set[str]:
    """Return the whole keys that a source asks for."""
    return set(re.findall(r"""\bt\(\s*f?["'`]([a-z_0-9.]+)["'`]""", text))


def test_every_text_that_is_asked_for_exists() -> None:
    """No page shows a key where a sentence should stand."""
    asked = [(path, key) for path, text in sources().items() for key in calls(text)]
    assert len(asked) > 1_000
    for path, key in asked:
        begins = any(known.startswith(key) for known in catalogue()) and key.endswith(".")
        assert key in catalogue() or begins, f"{path.name}: {key}"


def test_a_text_that_stands_twice_in_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON takes the last one silently: a list that could not be loaded said "Not stored"."""
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "one.json").write_text('{"a.b": "one", "c.d": "two", "a.b": "three"}')
    monkeypatch.setattr(words, "FOLDER", tmp_path)
    with pytest.raises(AssertionError, match=re.escape("a.b")):
        catalogue.__wrapped__()


def test_no_text_is_left_over() -> None:
    """A translator never works on a sentence that nobody sees."""
    everything = "\n".join(text for path, text in sources().items() if path.name != "words.py")
    stems = set(re.findall(r"""["'`]([a-z_0-9]+\.)["'`] ~""", everything))
    stems |= set(re.findall(r"""["'`]([a-z_0-9]+\.)["'`][,)]""", everything))
    stems |= set(re.findall(r"""`([a-z_0-9]+\.)\$\{""", everything))
    stems |= set(re.findall(r"""f["']([a-z_0-9]+\.)\{""", everything))
    spelled = set(re.findall(r"""(?<=["'`])[^"'`\s]+(?=["'`])""", everything))
    for key in catalogue():
        assert key in spelled or any(key.startswith(stem) for stem in stems), key


def test_the_browser_gets_the_texts_that_its_modules_use() -> None:
    """What a module says is in the part of the catalogue that travels with the page."""
    sent = json.loads(str(words_json()).replace("\\u003c", "<"))
    modules = {path: calls(text) for path, text in sources().items() if path.suffix == ".js"}
    assert sum(map(len, modules.values())) > 100
    for path, keys in modules.items():
        assert keys <= sent.keys(), f"{path.name}: {keys - sent.keys()} is not under {IN_BROWSER}"


def test_templates_hold_no_words_of_their_own() -> None:
    """A sentence in a template could not be translated."""
    pages = {path: text for path, text in sources().items() if path.suffix == ".html"}
    assert len(pages) > 50
    for path, text in pages.items():
        if path.name == "icons.html":
            continue
        bare = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", text, flags=re.DOTALL)
        bare = re.sub(r"<(svg|script|style)\b.*?</\1>", "", bare, flags=re.DOTALL)
        bare = re.sub(r"<[^>]*>", " ", bare)
        bare = re.sub(r"&[a-z]+;", " ", bare)
        bare = re.sub(r'[a-z-]+="[^"]*"|data-[a-z]+', " ", bare)  # of macros and blocks
        assert not re.search(r"[A-Za-z]{2,}", bare), (path.name, bare.split())


def test_what_removes_or_revokes_asks_first() -> None:
    """One press by mistake takes nothing away; the second factor asks for a password instead."""
    form = re.compile(r"<form[^>]*/(?:remove|revoke)\"[^>]*>.*?</form>", re.DOTALL)
    found = []
    for path, text in sources().items():
        if path.suffix == ".html" and path.name != "account_factor.html":
            found += [(path.name, one) for one in form.findall(text)]
            removals = re.findall(r"form\.removal\(.*?\) }}", text)
            assert all("_sure" in one for one in removals), f"{path.name}: {removals}"
    silent = [name for name, one in found if "data-confirm=" not in one]
    assert not silent
    assert len(found) >= 9
    assert 'value="delete" data-confirm=' in (ROOM / "templates/people_plans.html").read_text()


def test_placeholders_are_filled_in() -> None:
    """A sentence never reaches a reader with a brace in it."""
    assert t("late.title", age="2 h") == "No data for 2 h."


def test_numbers_follow_the_readers_language_and_nonsense_means_english() -> None:
    """The first language of the browser decides; a header made of rubbish does no harm."""
    assert locale("de-DE,de;q=0.9,en;q=0.8") == "de-DE"
    assert locale('"><script>') == "en"
    assert locale("") == "en"

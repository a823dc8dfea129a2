"""The reference says what is there: settings, commands, addresses, findings, decisions, figures."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest
import typer.main

from kilowatch.cli.app import command_line
from kilowatch.cli.settings import Settings
from kilowatch.dashboard.app import DOORS
from kilowatch.model.blocks import Quality
from kilowatch.model.parameters import CHANNEL_BY_PARAMETER

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SETTINGS = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
LINK = r"\]\(([^)#:]+)(?:#[^)]*)?\)"
NAMED_PAGE = r"docs/[\w/.-]+\.md"
COMMANDS = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
def test_every_setting_is_documented_with_its_variable(name: str) -> None:
    """An operator finds each setting, and what it is called in the environment."""
    assert f"`{name}`" in SETTINGS
    assert f"`KILOWATCH_{name.upper()}`" in SETTINGS


def test_no_setting_is_documented_that_does_not_exist() -> None:
    """A setting that was removed does not linger in the reference."""
    documented = set(re.findall(r"^\| `([a-z_]+)`", SETTINGS, flags=re.MULTILINE))
    assert documented == {field.name for field in dataclasses.fields(Settings)}


def test_every_command_is_documented() -> None:
    """What the program can do stands on one page."""
    commands = typer.main.get_command(command_line()).commands  # type: ignore[attr-defined]
    missing = [name for name in commands if f"`kilowatch {name}" not in COMMANDS]
    assert not missing


def test_every_parameter_of_a_packet_is_documented() -> None:
    """An integrator finds every quantity that a packet may carry."""
    page = (DOCS / "integrate" / "push-api.md").read_text(encoding="utf-8")
    families = {name.partition("_")[0] for name in CHANNEL_BY_PARAMETER}
    assert not [family for family in families if not re.search(rf"`{family}[_`]", page)]


def test_every_quality_is_in_the_glossary() -> None:
    """A word beside a number on a page is explained."""
    glossary = (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8")
    assert not [quality.name for quality in Quality if f"`{quality.name.lower()}`" not in glossary]


def test_every_finding_is_documented() -> None:
    """A person who reads a finding's code finds what it means and what to do."""
    page = (DOCS / "reference" / "findings.md").read_text(encoding="utf-8")
    sources = (ROOT / "src" / "kilowatch" / "pipeline").glob("*.py")
    calls = (
        r"_finding\(\s*(?:[^,\"]*,\s*)?\"([a-z_]+\.[a-z_]+)\"|Finding\(\s*\"([a-z_]+\.[a-z_]+)\""
    )
    chosen = r"\"((?:interval|unit)\.[a-z]+)\" (?:if|else)|else \"((?:interval|unit)\.[a-z]+)\""
    codes = {
        one or other
        for source in sources
        for pattern in (calls, chosen)
        for one, other in re.findall(pattern, source.read_text(encoding="utf-8"))
    }
    assert len(codes) >= 14
    assert not [code for code in codes if f"`{code}`" not in page]


def test_every_data_address_of_the_dashboard_is_documented() -> None:
    """Programs that read the dashboard's data find its addresses with their reader's page."""
    page = (DOCS / "start" / "dashboard.md").read_text(encoding="utf-8")
    addresses = {door.path for door in DOORS if door.path.startswith("/data/series")}
    assert addresses
    assert not [address for address in addresses if address not in page]


def test_every_decision_and_page_that_is_named_exists() -> None:
    """A link or a reference never leads nowhere."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    sources = list((ROOT / "src").rglob("*.py"))
    links = [(page, page.parent / link) for page in pages for link in _found(LINK, page)]
    names = [(source, ROOT / name) for source in sources for name in _found(NAMED_PAGE, source)]
    broken = [f"{place.name}: {target}" for place, target in links + names if not target.exists()]
    assert not broken


def test_the_index_of_decisions_is_true() -> None:
    """Every decision stands in the index under its number and title, and nothing else does."""
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    rows = [
        f"| {number} | [{title}]({record.name}) |"
        for record in records
        for number, title in re.findall(r"\A# (\d{4}) (.+)", record.read_text(encoding="utf-8"))
        if record.name.startswith(number)
    ]
    index = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \d.*", index, flags=re.MULTILINE) == rows
    assert len(rows) == len(records)


def test_every_library_that_we_build_on_says_why() -> None:
    """Whoever audits the dependencies finds each with its licence and the reason for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (record,) = (DOCS / "decisions").glob("0009-*.md")
    told = record.read_text(encoding="utf-8").casefold()
    names = [re.split(r"[<>=;]", one)[0].strip() for one in project["dependencies"]]
    assert len(names) > 20
    assert not [name for name in names if name.casefold() not in told]


def _found(pattern: str, path: Path) -> list[str]:
    found: list[str] = re.findall(pattern, path.read_text(encoding="utf-8"))
    return found


def test_the_benchmark_page_has_figures() -> None:
    """Claims of speed come with the run that they rest on."""
    page = (DOCS / "reference" / "benchmarks.md").read_text(encoding="utf-8")
    table = page.partition("<!-- bench:begin -->")[2].partition("<!-- bench:end -->")[0]
    assert table.count("\n|") >= 4

"""Maintenance is one file in the data folder, on or off."""

from __future__ import annotations

from tests.cli.conftest import Shell


def test_maintenance_goes_on_with_a_reason_and_off_again(shell: Shell) -> None:
    """Gateways keep their packets meanwhile; the reason reaches those who look."""
    sign = shell.folder / "maintenance"
    assert "pushes answer 503" in shell("maintenance", "on", "--reason", "new disk").text
    assert sign.read_text(encoding="utf-8") == "new disk"
    shell("maintenance", "on", "--reason", "still the disk")
    assert sign.read_text(encoding="utf-8") == "still the disk"
    assert "accepted again" in shell("maintenance", "off").text
    assert not sign.exists()
    assert "off already" in shell("maintenance", "off").text


def test_a_misspelt_word_changes_nothing(shell: Shell) -> None:
    """A server does not go offline because of a slip."""
    refused = shell("maintenance", "of").refusal
    assert refused is not None
    assert refused.remedy == "Choose one of: on, off."
    assert not (shell.folder / "maintenance").exists()

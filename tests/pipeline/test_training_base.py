"""What a training goes out from: the installation's own model, or the one that ships."""

from dataclasses import replace
from pathlib import Path

from kilowatch.insights.forecasting import shipped
from kilowatch.pipeline.insight.training import BASE
from kilowatch.pipeline.insight.training_process import base_of


def test_an_installation_goes_on_from_its_own_model_until_it_has_grown(tmp_path: Path) -> None:
    """Without one, and when half as many streams again have come, the shipped one begins."""
    assert base_of(tmp_path, 20).ships
    own = replace(shipped(), ships=False, trained_on=shipped().trained_on | {"streams": 20})
    (tmp_path / BASE).write_bytes(own.to_bytes())
    assert base_of(tmp_path, 30).version == own.version
    assert base_of(tmp_path, 31).ships

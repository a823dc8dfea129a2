"""The bundle of ECharts has every part that the dashboard's charts ask it for."""

from __future__ import annotations

import re
from pathlib import Path

from kilowatch.dashboard.app import STATIC

BUNDLED = Path(__file__).parents[2] / "scripts" / "setup" / "charts.js"
PARTS = {
    "markLine": "MarkLineComponent", "markPoint": "MarkPointComponent",
    "markArea": "MarkAreaComponent", "dataZoom": "DataZoomComponent",
    "visualMap": "VisualMapComponent", "toolbox": "ToolboxComponent", "brush": "BrushComponent",
    "graphic": "GraphicComponent", "grid": "GridComponent",
    "tooltip": "TooltipComponent", "axisPointer": "AxisPointerComponent",
    "dataset": "DatasetComponent", "polar": "PolarComponent",
}  # fmt: skip
"""Keys of an option, and the part that draws them; ECharts leaves out silently what it lacks."""


def test_what_charts_ask_for_is_in_the_bundle() -> None:
    """Found missing once: the lines of the clock change and of the present moment."""
    built = BUNDLED.read_text()
    scripts = [one.read_text() for one in sorted((STATIC / "js").rglob("*.js"))]
    charts = [text for text in scripts if "xAxis" in text or "markLine" in text]
    assert len(charts) >= 3
    asked = {
        key for key in PARTS for text in charts if re.search(rf"[.\s{{,]{key}(: | = |, )", text)
    }
    assert asked >= {"markLine", "graphic", "grid", "tooltip", "axisPointer"}
    assert {PARTS[key] for key in asked if f" {PARTS[key]}" not in built} == set()
    kinds = {kind for text in scripts for kind in re.findall(r'type: "(\w+)", xAxisIndex', text)}
    assert kinds >= {"line", "custom"}
    assert {kind for kind in kinds if f"{kind.title()}Chart" not in built} == set()

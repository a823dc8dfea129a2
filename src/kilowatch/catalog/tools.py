"""The tools of the platform, by stable words: plans keep them, and pages name theirs."""

from __future__ import annotations

TOOLS: tuple[str, ...] = (
    "breakdown", "attributes", "notifications", "data_quality", "import", "export", "heat_map",
    "load_profile", "energy_flow", "compare", "sentinel", "waste", "forecast", "admin",
)  # fmt: skip

FULL = "Full"
"""The name of having every tool, also those of later versions; there is no row for it."""

PRESETS: dict[str, str] = {
    "Standard": " ".join(tool for tool in TOOLS if tool not in ("import", "admin")),
    "Data import": "attributes data_quality import",
}
"""The plans that an organisation begins with; its administrators change them."""

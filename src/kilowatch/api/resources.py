"""Every address of the API: what there is, who answers it, and what the answer looks like."""

from __future__ import annotations

from kilowatch.api import consumptions, estate, meters, raw_data
from kilowatch.api.declaring import Resource

RESOURCES: tuple[Resource, ...] = (
    *estate.RESOURCES,
    *meters.RESOURCES,
    *raw_data.RESOURCES,
    *consumptions.RESOURCES,
)
"""In the order of the description."""

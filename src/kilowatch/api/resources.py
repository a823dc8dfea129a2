"""Every address of the API: what there is, who answers it, and what the answer looks like."""

from __future__ import annotations

from kilowatch.api import consumptions, estate, events, meters, outlook, people, raw_data
from kilowatch.api.declaring import Resource

RESOURCES: tuple[Resource, ...] = (
    *estate.RESOURCES,
    *meters.RESOURCES,
    *raw_data.RESOURCES,
    *consumptions.RESOURCES,
    *events.RESOURCES,
    *outlook.RESOURCES,
    *people.RESOURCES,
)
"""In the order of the description."""

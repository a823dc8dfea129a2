"""How the program's own log lines look: readable on a terminal, JSON everywhere else."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure_logs(level: str, process: str) -> None:
    """Send structured lines to standard error.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        process: Name that stands in each line.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr)
    structlog.contextvars.bind_contextvars(process=process)
    last: Any = (
        structlog.dev.ConsoleRenderer(pad_event_to=0)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.get_logger().debug("log lines configured", process=process)

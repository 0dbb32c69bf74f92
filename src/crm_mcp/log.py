"""Structured logs: JSON lines on stderr (stdout is the wire), without local variables."""

import logging
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_level = ["info"]


def configure(level: str) -> None:
    """Send every log line to stderr as JSON."""
    _level[0] = level
    logger.cache_clear()
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format='{"logger":"%(name)s","event":"%(levelname)s"}'
    )


@cache
def logger() -> "FilteringBoundLogger":
    """Return the logger; its library is imported with the first line, so that no client waits for it."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[_level[0].upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    made: Any = structlog.get_logger()
    return made.bind()

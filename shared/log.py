"""One JSON line per thing worth knowing, on standard output; never a secret, never bank details."""

import logging
import sys
from typing import Any

import structlog

SECRET_WORDS = ("password", "secret", "token", "authorization", "account_number", "iban", "cookie")


def _hide_secrets(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The last line of defence: a value under a telling name is masked, whatever it is."""
    for name in event:
        if any(word in name.lower() for word in SECRET_WORDS):
            event[name] = "•••"
    return event


PROCESSORS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _hide_secrets,
]
AS_JSON = structlog.processors.JSONRenderer(default=str)


def configure(level: int = logging.INFO) -> None:
    """Set up logging for this process: ours from this level on, and the warnings of libraries, through one pipe."""
    structlog.configure(
        processors=[*PROCESSORS, AS_JSON],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    pipe = logging.StreamHandler(sys.stdout)
    pipe.setFormatter(structlog.stdlib.ProcessorFormatter(AS_JSON, foreign_pre_chain=PROCESSORS))
    logging.basicConfig(level=logging.WARNING, handlers=[pipe], force=True)


log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

"""Logs: one line per event on stderr, ours and those of libraries alike, in UTC.

What people write and what opens doors is never handed to a logger. The rules here are the second
line of defence for the day somebody does: values are hidden by their key and by their look, and an
exception is told by its type, place and code, not by its words, which often quote the input.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from enum import Enum
from pathlib import PurePath
from typing import Final, Literal, TextIO
from uuid import UUID

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from coachline.foundation.errors import CoachlineError

HIDDEN: Final = "[hidden]"

# A key is hidden when one of its words is here. `prompt_tokens=12` stays: a number is no secret;
# so does `reply_id`, which only names what is hidden.
_SECRET_WORDS: Final = frozenset(
    """
    answer apikey authorization body content cookie credential credentials draft key message
    param params parameters passage password payload prompt query raw reply secret secrets
    signature summary text token tokens
    """.split()  # noqa: SIM905  # a column of thirty words is not easier to read
)
_NAMING_WORDS: Final = frozenset(("id", "ids", "state", "type", "version"))
_SECRET_LOOKS: Final = (
    (re.compile(r"\b(cl|whsec|whsk)_[A-Za-z0-9+/=_-]{8,}"), rf"\1_{HIDDEN}"),
    (re.compile(r"\b(bearer|basic)\s+[^\s\"',]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"://[^/\s@]*:[^/\s@]*@"), f"://{HIDDEN}@"),
)
# Their words name code and types, not data.
_SPEAKING: Final = (AttributeError, ImportError, NameError, NotImplementedError, TypeError)
# What a database error may tell: which rule was broken, never the row.
_SAFE_DETAILS: Final = ("sqlstate", "schema_name", "table_name", "column_name", "constraint_name")

_DEEPEST: Final = 6
_LONGEST_TEXT: Final = 1000
_MOST_FRAMES: Final = 30
_MOST_CAUSES: Final = 8

# They log each call, some with its address, or each rule; failures still come through.
_CHATTY: Final = (
    "aiohttp.access",
    "chromadb",
    "httpcore",
    "httpx",
    "markdown_it",
    "sqlalchemy",
    "urllib3",
    "uvicorn.access",
)


def configure_logs(
    level: Literal["debug", "info", "warning", "error"],
    format: Literal["auto", "json", "text"],  # noqa: A002  # the setting's name
    *,
    stream: TextIO | None = None,
) -> None:
    """Send every log of this process, libraries' too, to one place in one form.

    Args:
        level: the least severe line that is written.
        format: ``json`` is one object per line, ``text`` is for eyes, ``auto`` is text on a
            terminal and JSON elsewhere.
        stream: where to; standard error when None.
    """
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                _keep_first_line,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                tell_exception,
                hide_secrets,
                _renderer(format, target),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    severity = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(severity)
    _let_through_root(severity)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _renderer(format: str, target: TextIO) -> Processor:  # noqa: A002  # the setting's name
    if format == "text" or (format == "auto" and target.isatty()):
        return structlog.dev.ConsoleRenderer(colors=target.isatty())
    return structlog.processors.JSONRenderer()


def tell_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Turn ``exc_info`` into ``exception``: types, places and codes, causes first."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(_tell(error))
    return event


def hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Hide values by key and by look; what is left is plain JSON."""
    return {str(key): _shown(str(key), value) for key, value in event.items()}


def _keep_first_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    # Libraries append dumps of objects to their sentence, exceptions and their words included.
    if not event.get("_from_structlog", False):
        event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _let_through_root(severity: int) -> None:
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic", "pgqueuer"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(severity, logging.WARNING))


def _shown(key: str, value: object, depth: int = 0) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _is_secret(key):
        return HIDDEN
    if isinstance(value, BaseException):
        return _headline(value)
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _shown_all(key, value, depth + 1)
    if isinstance(value, Enum):
        return _shown(key, value.value, depth)
    if isinstance(value, str | UUID | date | datetime | PurePath):
        return _without_looks(str(value), longest=None if key == "exception" else _LONGEST_TEXT)
    # A repr may hold anything that the object does.
    return f"<{type(value).__name__}>"


def _is_secret(key: str) -> bool:
    words = re.split(r"[^a-z]+", key.lower())
    return words[-1] not in _NAMING_WORDS and not _SECRET_WORDS.isdisjoint(words)


def _shown_all(key: str, values: object, depth: int) -> object:
    if depth > _DEEPEST:
        return HIDDEN
    if isinstance(values, Mapping):
        return {str(name): _shown(str(name), value, depth) for name, value in values.items()}
    if isinstance(values, list | tuple | set | frozenset):
        return [_shown(key, value, depth) for value in values]
    return HIDDEN


def _without_looks(text: str, *, longest: int | None) -> str:
    for look, instead in _SECRET_LOOKS:
        text = look.sub(instead, text)
    return text[:longest]


def _tell(error: BaseException) -> Iterator[str]:
    chain = [error]
    while len(chain) < _MOST_CAUSES:
        last = chain[-1]
        cause = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if cause is None or cause in chain:
            break
        chain.append(cause)
    for found in reversed(chain):
        yield _headline(found)
        frames = traceback.extract_tb(found.__traceback__)[-_MOST_FRAMES:]
        yield from (f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
        if isinstance(found, BaseExceptionGroup):
            for member in found.exceptions[:_MOST_CAUSES]:
                yield from (f"  | {line}" for line in _tell(member))


def _headline(error: BaseException) -> str:
    kind = type(error)
    words = _words(error)
    return f"{kind.__module__}.{kind.__qualname__}" + (f": {words}" if words else "")


def _words(error: BaseException) -> str:
    if isinstance(error, CoachlineError):
        return error.message
    if isinstance(error, _SPEAKING):
        return str(error)
    details = [f"{name}={value}" for name in _SAFE_DETAILS if (value := _detail(error, name))]
    if isinstance(error, OSError) and error.strerror:
        details.append(f"errno={error.errno} {error.strerror}")
    return " ".join(details)


def _detail(error: BaseException, name: str) -> str | None:
    value = getattr(error, name, None)
    return value if isinstance(value, str) else None

"""Logs are one line each, in UTC, and hold neither secrets nor what people wrote."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from pydantic import BaseModel, SecretStr, ValidationError

from coachline.foundation.errors import NotFound
from coachline.foundation.ids import new_id
from coachline.foundation.logs import configure_logs

CANARY = "canary-3b9d"
KEY = "cl_4f7Yb2QxCanary3b9dZzTq"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged, as JSON lines."""
    found = io.StringIO()
    configure_logs("debug", "json", stream=found)
    yield found
    structlog.contextvars.clear_contextvars()


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_object_with_its_time_in_utc(stream: io.StringIO) -> None:
    structlog.get_logger("test").info("started", port=8765)
    [line] = _lines(stream)
    assert line["event"] == "started"
    assert line["level"] == "info"
    assert line["port"] == 8765
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)


def test_a_line_carries_the_request_and_the_tenant(stream: io.StringIO) -> None:
    tenant_id = new_id()
    with structlog.contextvars.bound_contextvars(request_id="r-1", tenant_id=str(tenant_id)):
        structlog.get_logger().info("ours")
        logging.getLogger("pgqueuer").warning("theirs")
    assert [(line["request_id"], line["tenant_id"]) for line in _lines(stream)] == [
        ("r-1", str(tenant_id))
    ] * 2


@pytest.mark.parametrize("name", ["uvicorn.error", "alembic.runtime", "pgqueuer", "anything"])
def test_a_library_speaks_through_the_same_line(stream: io.StringIO, name: str) -> None:
    logging.getLogger(name).warning("count %d", 3)
    [line] = _lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("count 3", name, "warning")


@pytest.mark.parametrize("name", ["httpx", "uvicorn.access", "sqlalchemy.engine", "chromadb.api"])
def test_a_library_that_logs_each_call_is_quiet(stream: io.StringIO, name: str) -> None:
    logging.getLogger(name).info("GET http://host/?q=%s", CANARY)
    logging.getLogger(name).error("failed")
    assert [line["event"] for line in _lines(stream)] == ["failed"]


def test_a_line_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers, root.level)
    try:
        configure_logs("warning", "json", stream=stream)
        structlog.get_logger().info("quiet")
        logging.getLogger("lib").info("quiet")
        structlog.get_logger().warning("loud")
    finally:
        structlog.reset_defaults()
        root.handlers, root.level = before
    assert [line["event"] for line in _lines(stream)] == ["loud"]


def test_configuring_twice_writes_each_line_once(stream: io.StringIO) -> None:
    configure_logs("debug", "json", stream=stream)
    structlog.get_logger().info("once")
    logging.getLogger("lib").info("once too")
    assert len(_lines(stream)) == 2


class Note(BaseModel):
    text: str
    secret: SecretStr | None = None


@pytest.mark.parametrize(
    "values",
    [
        {name: CANARY}
        for name in (
            "text",
            "body",
            "content",
            "message",
            "prompt",
            "answer",
            "query",
            "raw",
            "payload",
            "secret",
            "token",
            "password",
            "authorization",
            "Authorization",
            "api_key",
            "apiKey",
            "webhook_secret",
            "bot-token",
            "message_text",
            "set-cookie",
            "params",
        )
    ]
    + [
        {"text": CANARY.encode()},
        {"event_data": {"sender": "a", "text": CANARY}},
        {"events": [{"content": {"parts": [CANARY]}}]},
        {"texts": {"a": {"b": {"c": {"d": {"e": {"f": {"g": CANARY}}}}}}}},
        {"note": Note(text=CANARY)},
        {"error": ValueError(CANARY)},
        {"bytes": CANARY.encode()},
        {"url": f"https://user:{CANARY}@host/"},
        {"url": f"postgresql://:{CANARY}@/db"},
        {"header": f"Bearer {CANARY}"},
        {"note": f"called with {KEY}."},
        {"note": "signed with whsec_" + CANARY},
    ],
    ids=str,
)
def test_a_value_that_may_be_secret_or_a_message_is_hidden(
    stream: io.StringIO, values: dict[str, object]
) -> None:
    structlog.get_logger().info("event", **values)
    [line] = _lines(stream)
    assert line["event"] == "event"
    assert CANARY not in stream.getvalue()
    assert KEY not in stream.getvalue()


def test_what_helps_an_operator_is_kept(stream: io.StringIO) -> None:
    event_id = new_id()
    structlog.get_logger().info(
        "turn_ended",
        event_id=event_id,
        channel="webhook",
        model="smollm2:135m",
        prompt_tokens=12,
        first_token_seconds=0.25,
        states=("sent", "sent"),
        path=Path("data/here"),
        is_done=True,
        error_code="shelf_full",
        reply_id="reply-1",
        prompt_version="p3",
    )
    [line] = _lines(stream)
    assert line["event_id"] == str(event_id)
    assert (line["prompt_tokens"], line["first_token_seconds"]) == (12, 0.25)
    assert (line["states"], line["path"], line["is_done"]) == (["sent"] * 2, "data/here", True)
    assert (line["error_code"], line["reply_id"]) == ("shelf_full", "reply-1")
    assert line["prompt_version"] == "p3"


def _raise(error: Exception) -> None:
    raise error


def _validation_error() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Note.model_validate({"text": [CANARY]})
    return caught.value


def _database_error() -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new(
        {
            "C": "23505",
            "M": f'duplicate key value "{CANARY}"',
            "D": f"Key (text)=({CANARY}) already exists.",
            "n": "inbox_event_key",
            "t": "inbox_event",
        }
    )


@pytest.mark.parametrize(
    "error",
    [
        ValueError(CANARY),
        KeyError(CANARY),
        RuntimeError(f"cannot use {CANARY}"),
        UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, "bad"),
        asyncpg.DataError(f"invalid input for query argument $1: '{CANARY}'"),
        _validation_error(),
        _database_error(),
        OSError(2, "No such file", CANARY),
        ExceptionGroup(CANARY, [ValueError(CANARY), TypeError("a str is no int")]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("of_library", [False, True])
def test_an_exception_tells_where_and_what_but_not_its_words(
    stream: io.StringIO, error: Exception, of_library: bool
) -> None:
    log: Any = logging.getLogger("pgqueuer") if of_library else structlog.get_logger()
    try:
        _raise(error)
    except Exception:
        log.exception("job_failed")
    [line] = _lines(stream)
    assert type(error).__name__ in line["exception"]
    assert "test_logs.py" in line["exception"]
    assert "_raise" in line["exception"]
    assert CANARY not in stream.getvalue()


def test_an_exception_keeps_its_causes_and_the_words_that_are_safe(stream: io.StringIO) -> None:
    try:
        try:
            _raise(_database_error())
        except asyncpg.PostgresError as error:
            raise NotFound("There is no such shelf.") from error
    except NotFound:
        structlog.get_logger().exception("failed")
    told = _lines(stream)[0]["exception"]
    assert "NotFound: There is no such shelf." in told
    assert "sqlstate=23505" in told
    assert "constraint_name=inbox_event_key" in told
    assert told.index("sqlstate") < told.index("NotFound")


async def test_a_task_that_nobody_awaited_does_not_leak_its_words(stream: io.StringIO) -> None:
    context = {
        "message": "Task exception was never retrieved",
        "exception": ValueError(CANARY),
        "future": asyncio.get_running_loop().create_future(),
        "words": CANARY,
    }
    asyncio.get_running_loop().default_exception_handler(context)
    [line] = [line for line in _lines(stream) if line["level"] == "error"]
    assert line["event"] == "Task exception was never retrieved"
    assert CANARY not in stream.getvalue()


def test_no_value_can_begin_a_line_of_its_own(stream: io.StringIO) -> None:
    structlog.get_logger().info("event", name='a\n{"event": "forged"}', other="\u2028x")
    assert len(stream.getvalue().splitlines()) == 1
    assert len(_lines(stream)) == 1


def test_text_for_eyes_hides_the_same() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers, root.level)
    try:
        configure_logs("info", "text", stream=stream)
        structlog.get_logger().info("received", text=CANARY, channel="webhook")
        try:
            _raise(ValueError(CANARY))
        except ValueError:
            structlog.get_logger().exception("job_failed")
    finally:
        structlog.reset_defaults()
        root.handlers, root.level = before
    told = stream.getvalue()
    assert "received" in told
    assert "webhook" in told
    assert "ValueError" in told
    assert CANARY not in told

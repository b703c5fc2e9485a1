"""Streams of the demo page: what a reader sees, and what is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from coachline.foundation.errors import TooManyRequests, Unavailable
from coachline.local import chat_sessions
from coachline.local.chat_sessions import ChatSessions, SessionUnknown

ME, OTHER = "a" * 32, "b" * 32


async def _next(stream: AsyncIterator[str]) -> str:
    async with asyncio.timeout(5):
        return await anext(stream)


async def _begin(sessions: ChatSessions, session_id: str) -> AsyncIterator[str]:
    stream = sessions.open_stream(session_id)
    assert (await _next(stream)).startswith("retry: ")
    return stream


@pytest.fixture
def sessions() -> ChatSessions:
    sessions = ChatSessions()
    sessions.note(ME)
    sessions.note(OTHER)
    return sessions


async def test_what_is_said_reaches_every_stream_of_its_session_and_no_other(
    sessions: ChatSessions,
) -> None:
    mine, also_mine, others = [await _begin(sessions, name) for name in (ME, ME, OTHER)]
    sessions.publish(ME, "reply", {"text": "to me"}, is_final=True)
    sessions.publish(OTHER, "reply", {"text": "to another"}, is_final=True)
    expected = 'event: reply\ndata: {"text": "to me"}\n\n'
    assert await _next(mine) == await _next(also_mine) == expected
    assert "to another" in await _next(others)


async def test_a_slow_reader_gets_only_the_newest_draft(sessions: ChatSessions) -> None:
    stream = await _begin(sessions, ME)
    for text in ("I", "I would", "I would walk"):
        sessions.publish(ME, "draft", {"text": text}, is_final=False)
    assert await _next(stream) == 'event: draft\ndata: {"text": "I would walk"}\n\n'


async def test_a_reply_ends_its_draft(sessions: ChatSessions) -> None:
    sessions.publish(ME, "draft", {"text": "Wal"}, is_final=False)
    sessions.publish(ME, "reply", {"text": "Walk."}, is_final=True)
    assert await _next(await _tail(sessions)) == 'event: reply\ndata: {"text": "Walk."}\n\n'


async def _tail(sessions: ChatSessions) -> AsyncIterator[str]:
    return await _begin(sessions, ME)


async def test_a_stream_that_was_cut_gets_what_was_said_meanwhile(sessions: ChatSessions) -> None:
    first = await _begin(sessions, ME)
    sessions.publish(ME, "reply", {"text": "one"}, is_final=True)
    assert "one" in await _next(first)
    sessions.publish(ME, "reply", {"text": "two"}, is_final=True)
    again = await _next(await _begin(sessions, ME))
    assert "one" in again
    assert "two" in again


async def test_a_reader_that_left_has_its_end_found_by_a_heartbeat() -> None:
    sessions = ChatSessions(heartbeat_seconds=0.01)
    sessions.note(ME)
    stream = await _begin(sessions, ME)
    assert (await _next(stream)).startswith(":")


async def test_closing_ends_streams_and_opens_none(sessions: ChatSessions) -> None:
    stream = await _begin(sessions, ME)
    waiting = asyncio.ensure_future(_next(stream))
    await asyncio.sleep(0)
    sessions.close()
    with pytest.raises(StopAsyncIteration):
        await waiting
    with pytest.raises(Unavailable):
        sessions.open_stream(ME)


def test_an_unknown_session_has_no_stream(sessions: ChatSessions) -> None:
    with pytest.raises(SessionUnknown):
        sessions.open_stream("c" * 32)


async def test_a_session_has_a_bounded_number_of_streams(sessions: ChatSessions) -> None:
    open_ones = [await _begin(sessions, ME) for _ in range(chat_sessions.STREAMS_PER_SESSION)]
    with pytest.raises(TooManyRequests):
        sessions.open_stream(ME)
    for stream in open_ones:
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator, as the server knows
    assert sessions.open_stream(ME)


async def test_quiet_sessions_are_forgotten_and_open_ones_kept(sessions: ChatSessions) -> None:
    stream = await _begin(sessions, ME)
    for number in range(chat_sessions.MOST_SESSIONS):
        sessions.note(f"{number:032x}")
    with pytest.raises(SessionUnknown):
        sessions.open_stream(OTHER)
    sessions.publish(ME, "reply", {"text": "still here"}, is_final=True)
    assert "still here" in await _next(stream)

"""What a fake platform took and shows, and the verdict over it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from coachline_lab.records import PLACEHOLDERS, Accepted, Call
from coachline_lab.verdict import Asked, Verdict, answered_in, judge_messages


class Ledger:
    """The book of one fake platform: every call, every message, what is visible in each thread.

    A thread is the platform's address of a conversation: ``"{chat}"`` or ``"{chat}/{topic}"`` on
    Telegram, ``"{team}/{channel}/{thread_ts}"`` on Slack, the learner's number on Twilio. Accounts
    (bots, apps, numbers) may have equal threads, so most questions take an ``account``; None means
    all of them. Every entry costs the same however much stands in the book.

    ``accepted`` are the messages of the bots that the platform took, oldest first.
    """

    def __init__(self, platform: str) -> None:
        self.platform = platform
        self.accepted: list[Accepted] = []
        self.version = 0
        """Grows with every change; a page shows the book anew when it did."""
        self._calls: dict[str, list[Call]] = {}
        self._every_call: list[Call] = []
        self._threads: dict[str, dict[int, Accepted]] = defaultdict(dict)
        self._place = 0
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    # --- written by the fakes

    def called(
        self,
        account: str,
        method: str,
        args: Mapping[str, Any],
        *,
        thread: str | None = None,
        fault: str = "none",
    ) -> Call:
        """Note one call of the API. Set ``outcome`` of what is returned when it is known."""
        call = Call(account, method, args, time.time(), thread, fault)
        self._every_call.append(call)
        self._calls.setdefault(method.casefold(), []).append(call)
        self._changed(thread or "")
        return call

    def accept(
        self,
        account: str,
        thread: str,
        message_id: str,
        text: str,
        *,
        key: str | None = None,
        details: Mapping[str, Any] | None = None,
        is_unfinished: bool = False,
    ) -> Accepted:
        """Note a message of a bot that the platform took, and show it.

        Args:
            key: what the sender marked it with, where the platform keeps such marks.
            details: what else is shown: buttons, entities, blocks.
            is_unfinished: it is a stream that goes on.
        """
        taken = self._enter(account, thread, message_id, text, None, details or {})
        taken.key = key
        taken.is_unfinished = is_unfinished
        self.accepted.append(taken)
        self._changed(thread)
        return taken

    def said(
        self,
        account: str,
        thread: str,
        message_id: str,
        text: str,
        *,
        sender: str,
        details: Mapping[str, Any] | None = None,
    ) -> Accepted:
        """Note what a learner wrote, for the transcript."""
        line = self._enter(account, thread, message_id, text, sender, details or {})
        self._changed(thread)
        return line

    def edit(
        self,
        message: Accepted,
        text: str,
        *,
        key: str | None = None,
        details: Mapping[str, Any] | None = None,
        is_unfinished: bool = False,
    ) -> None:
        """Let ``message`` show ``text`` from now on; a None leaves that field as it was."""
        message.text = text
        message.edits += 1
        message.is_unfinished = is_unfinished
        if key is not None:
            message.key = key
        if details is not None:
            message.details = details
        self._changed(message.thread)

    def remove(self, message: Accepted) -> None:
        """Take ``message`` out of sight."""
        message.is_removed = True
        self._threads[message.thread].pop(message.place, None)
        self._changed(message.thread)

    # --- read by tests and by the page

    def calls(self, method: str | None = None) -> list[Call]:
        """The calls of ``method`` (None: of all), oldest first."""
        found = self._every_call if method is None else self._calls.get(method.casefold(), [])
        return list(found)

    def early_retries(self) -> list[Call]:
        """Calls that came before the end of the wait which a 429 asked for.

        A wait holds for its account, method and thread.
        """
        free_at: dict[tuple[str, str, str | None], float] = {}
        early = []
        for call in self._every_call:
            key = (call.account, call.method.casefold(), call.thread)
            if call.at < free_at.get(key, 0.0):
                early.append(call)
            if call.retry_after is not None:
                free_at[key] = call.at + call.retry_after
        return early

    def threads(self) -> list[str]:
        """Every thread in which something was ever shown."""
        return list(self._threads)

    def transcript(self, thread: str, *, account: str | None = None) -> list[Accepted]:
        """What stands in ``thread`` now, of learners and bots, in order."""
        return [
            one
            for one in self._threads.get(thread, {}).values()
            if account is None or one.account == account
        ]

    def visible(self, thread: str, *, account: str | None = None) -> list[str]:
        """The texts of the bots' messages that stand in ``thread`` now, in order."""
        return [one.text for one in self.transcript(thread, account=account) if one.sender is None]

    @property
    def place(self) -> int:
        """Where the book stands: what is shown later has a higher ``Accepted.place``."""
        return self._place

    async def wait_for_answer(
        self,
        thread: str,
        *,
        after: int = 0,
        account: str | None = None,
        seconds: float = 10.0,
        accept: Callable[[Accepted], bool] = lambda message: True,
    ) -> Accepted:
        """Return the first finished answer of a bot behind place ``after``, when it is there.

        Placeholders and streams that go on are no answers; ``accept`` may ask for more.

        Raises:
            TimeoutError: there was none after ``seconds``; the message says what is shown.
        """

        def found() -> Accepted | None:
            answer = None
            for one in self._behind(thread, after):
                if one.is_answer and (account is None or one.account == account) and accept(one):
                    answer = one
            return answer

        try:
            async with asyncio.timeout(seconds):
                while (answer := found()) is None:
                    await self._change_in(thread)
        except TimeoutError:
            shown = [one.text for one in self._behind(thread, after) if one.sender is None]
            raise TimeoutError(f"no answer in {thread!r} in {seconds} s; shown: {shown}") from None
        return answer

    async def wait_until(self, is_so: Callable[[], bool], *, seconds: float = 10.0) -> None:
        """Return when ``is_so()``, which is asked after every change of the book.

        Raises:
            TimeoutError: it is not so after ``seconds``.
        """
        async with asyncio.timeout(seconds):
            while not is_so():
                await self._change_in("")

    def judge(
        self,
        asked: Iterable[Asked],
        *,
        match: Callable[[str], Iterable[str]] = answered_in,
        placeholders: frozenset[str] = PLACEHOLDERS,
    ) -> Verdict:
        """Compare what is visible with what was asked, in the order in which it was.

        Args:
            asked: each is to be answered exactly once, in its thread.
            match: the markers of the questions that a text answers; by default whatever stands
                behind ``re:``, up to the end of the line.
            placeholders: texts that should have been filled in.
        """
        shown = (one for one in self.accepted if not one.is_removed)
        return judge_messages(shown, asked, match=match, placeholders=placeholders)

    def _enter(
        self,
        account: str,
        thread: str,
        message_id: str,
        text: str,
        sender: str | None,
        details: Mapping[str, Any],
    ) -> Accepted:
        self._place += 1
        entry = Accepted(
            self.platform, account, thread, message_id, text, time.time(), self._place, sender
        )
        entry.details = details
        self._threads[thread][entry.place] = entry
        return entry

    def _behind(self, thread: str, after: int) -> Iterator[Accepted]:
        """What is shown behind ``after``, newest first, without looking at what is before."""
        for one in reversed(self._threads.get(thread, {}).values()):
            if one.place <= after:
                return
            yield one

    async def _change_in(self, thread: str) -> None:
        """Wait for a change in ``thread``; an empty name is any thread."""
        change = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(thread, set()).add(change)
        try:
            await change
        finally:
            waiting = self._waiting.get(thread, set())
            waiting.discard(change)
            if not waiting:
                self._waiting.pop(thread, None)

    def _changed(self, thread: str) -> None:
        self.version += 1
        for name in (thread, ""):
            for change in self._waiting.pop(name, ()):
                if not change.done():
                    change.set_result(None)


def asked_in(thread: str, markers: Sequence[str], *, account: str | None = None) -> list[Asked]:
    """The questions of one thread, oldest first, as :meth:`Ledger.judge` wants them."""
    return [Asked(thread, marker, account) for marker in markers]

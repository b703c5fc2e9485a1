"""Learners who go on asking while the gateway is killed, one talk in one thread each.

Nobody says a thing before the one before it was taken by the gateway, or is queued in order by the
platform: what is out of order then is the gateway's doing. Some wait for each answer, some do not.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, cycle, repeat
from typing import Final, Protocol

import aiohttp

from channel_kit.signing import parse_secret, sign
from coachline_lab import Ledger
from coachline_lab.slack import FakeSlack
from coachline_lab.telegram import Bot
from coachline_lab.twilio import Account
from faults.asked import Questions
from faults.stage import DUPLICATES, TENANTS, Stage
from fixtures.gateway import Connected
from fixtures.waiting import until

_PATIENT: Final = 0.6
"""The share of questions whose answer is waited for before the next one is asked."""
_LONGEST_PAUSE_SECONDS: Final = 0.3
_LOOK_SECONDS: Final = 0.05
_WAIT_SECONDS: Final = 300.0
"""After which an answer counts as lost. The run goes on, and its ledgers tell."""
_RETRY_SECONDS: Final = (0.0, 0.1, 0.3, 0.5)
"""Of whoever posts to a webhook: the waits before the tries, the last one again and again."""
_POST_SECONDS: Final = 5.0
_SLACK_TRIES: Final = 4


class Talk(Protocol):
    """One learner in one thread."""

    @abstractmethod
    async def ask(self, number: int) -> None:
        """Ask question ``number``; return when it is taken or queued in order."""

    @abstractmethod
    async def wait(self) -> None:
        """Wait for the answer to the question that was asked last."""


@dataclass
class _PlatformTalk:
    """What talks on the platforms of the lab share."""

    name: str
    stage: Stage
    questions: Questions
    _thread: str = ""
    _account: str = ""
    _marker: str = ""

    def _note(self, ledger: Ledger, thread: str, account: str, marker: str) -> None:
        self.questions.ask(ledger.platform, thread, marker, account)
        self._thread, self._account, self._marker = thread, account, marker

    async def _wait_in(self, ledger: Ledger) -> None:
        marker = f"re: {self._marker}"
        # From the thread's beginning: an answer may be written into a draft that was there before
        # the question.
        await ledger.wait_for_answer(
            self._thread,
            account=self._account,
            seconds=_WAIT_SECONDS,
            accept=lambda message: marker in message.text.splitlines(),
        )


@dataclass
class TelegramTalk(_PlatformTalk):
    """A private chat with a bot. Telegram itself keeps a chat's updates in order."""

    bot: Bot = field(kw_only=True)
    user: int = field(kw_only=True)

    async def ask(self, number: int) -> None:
        """Say it; the platform queues it."""
        marker, telegram = f"{self.name}-{number}", self.stage.telegram
        said = await telegram.say(marker, user=self.user, bot=self.bot)
        self._note(telegram.ledger, said.thread, self.bot.account, marker)

    async def wait(self) -> None:
        """Wait for the last answer."""
        await self._wait_in(self.stage.telegram.ledger)


@dataclass
class SlackTalk(_PlatformTalk):
    """A direct message with an app, or a thread in a channel that a mention opens."""

    app: int = field(kw_only=True)
    user: str = field(kw_only=True)
    channel: str | None = field(default=None, kw_only=True)
    root: str = field(default="", kw_only=True)

    async def ask(self, number: int) -> None:
        """Say it, and return when the app took it.

        After Slack's own three retries it is delivered once more: a message that Slack gave up was
        never accepted by anybody.
        """
        marker, slack = f"{self.name}-{number}", self.stage.slack
        said = await slack.say(
            marker,
            user=self.user,
            app=self.stage.apps[self.app].account,
            channel=self.channel,
            thread_ts=self.root,
            mention=self.channel is not None and not self.root,
        )
        if self.channel is not None:
            self.root = self.root or said.ts
        account = self.stage.apps[self.app].account.account
        self._note(slack.ledger, said.thread, account, marker)
        await asyncio.gather(*(self._taken(slack, event_id) for event_id in said.event_ids))

    @staticmethod
    async def _taken(slack: FakeSlack, event_id: str) -> None:
        seen, tries, at = False, 0, len(slack.events.attempts)
        at = max(0, at - 100)
        while not seen:
            attempts = slack.events.attempts
            for attempt in attempts[at:]:
                if attempt.event_id == event_id:
                    tries += 1
                    seen = seen or 200 <= attempt.status < 300
            at = len(attempts)
            if not seen and tries >= _SLACK_TRIES:
                slack.events.redeliver_event(event_id)
                tries = 0
            await asyncio.sleep(_LOOK_SECONDS)

    async def wait(self) -> None:
        """Wait for the last answer."""
        await self._wait_in(self.stage.slack.ledger)


@dataclass
class SmsTalk(_PlatformTalk):
    """A person who writes text messages to a number."""

    account: Account = field(kw_only=True)
    person: str = field(kw_only=True)

    async def ask(self, number: int) -> None:
        """Write, and return when the gateway took it, after as many rounds of tries as it takes."""
        marker, twilio = f"{self.name}-{number}", self.stage.twilio
        sender = self.account.numbers[0].phone_number
        self._note(twilio.ledger, self.person, sender, marker)
        delivery = await twilio.say(marker, person=self.person, to=sender, account=self.account)
        while not delivery.is_taken:
            (delivery,) = await twilio.redeliver(sid=delivery.sid)

    async def wait(self) -> None:
        """Wait for the last answer."""
        await self._wait_in(self.stage.twilio.ledger)


@dataclass
class HookTalk:
    """A program that posts signed messages to a webhook, until each is taken."""

    name: str
    stage: Stage
    questions: Questions
    answered: set[tuple[str, str]]
    to: Connected
    sender: str
    dice: random.Random
    _message_id: str = ""

    async def ask(self, number: int) -> None:
        """Post it, and now and then once more although it was taken."""
        self._message_id = f"{self.name}-{number}"
        self.questions.ask_hook(self.to.path, self.sender, self._message_id)
        for pause in chain(_RETRY_SECONDS, repeat(_RETRY_SECONDS[-1])):
            await asyncio.sleep(pause)
            if await self._post():
                break
        if self.dice.random() < DUPLICATES:
            await self._post()

    async def _post(self) -> bool:
        body = json.dumps(
            {
                "type": "message",
                "id": self._message_id,
                "sender": {"id": self.sender},
                "text": self._message_id,
            }
        ).encode()
        secret, now = parse_secret(self.to.secret), datetime.now(UTC)
        headers = sign([secret], message_id=self._message_id, timestamp=now, body=body)
        limits = aiohttp.ClientTimeout(total=_POST_SECONDS)
        http = self.stage.lab.house.http
        try:
            async with http.post(
                self.to.inbound_url, data=body, headers=headers, timeout=limits
            ) as answer:
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def wait(self) -> None:
        """Wait for the last answer."""
        await until(
            lambda: (self.to.path, self._message_id) in self.answered, seconds=_WAIT_SECONDS
        )


@dataclass
class Crowd:
    """Everybody who talks.

    Args:
        stage: where.
        count: of talks.
        seed: of every pause and of whether an answer is waited for.
    """

    stage: Stage
    count: int
    seed: int
    questions: Questions = field(default_factory=Questions)
    waits: list[float] = field(default_factory=list)
    """Seconds from a question to its answer, of those that were waited for at once."""
    _answered: set[tuple[str, str]] = field(default_factory=set)

    async def talk(self, each: int, *, most: int, is_enough: Callable[[], bool]) -> None:
        """Let everybody ask ``each`` questions, and more, up to ``most``, until it is enough.

        Returns when the last question of each has its answer.
        """
        following = asyncio.create_task(self._follow_hooks())
        try:
            async with asyncio.TaskGroup() as group:
                for place, talk in enumerate(self._talks()):
                    dice = random.Random(self.seed * self.count + place)
                    group.create_task(self._ask_all(talk, dice, each, most, is_enough))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _ask_all(
        self, talk: Talk, dice: random.Random, each: int, most: int, is_enough: Callable[[], bool]
    ) -> None:
        number = 0
        # Who waits in vain stops asking; the ledgers tell what was not answered.
        with suppress(TimeoutError):
            while number < each or (number < most and not is_enough()):
                begun = time.monotonic()
                await talk.ask(number)
                number += 1
                if dice.random() < _PATIENT:
                    await talk.wait()
                    self.waits.append(time.monotonic() - begun)
                await asyncio.sleep(dice.uniform(0, _LONGEST_PAUSE_SECONDS))
            await talk.wait()

    async def _follow_hooks(self) -> None:
        receiver, at = self.stage.receiver, 0
        while True:
            for reply in receiver.accepted[at:]:
                self._answered |= {(reply.path, event) for event in reply.body["in_reply_to"]}
            at = len(receiver.accepted)
            await asyncio.sleep(_LOOK_SECONDS)

    def _talks(self) -> Iterator[Talk]:
        """People have equal ids on all connections. Platforms that must be asked have most."""
        makers: list[Callable[[int, int], Talk]] = [
            *(self._telegram, self._telegram),
            *(self._slack, self._slack, self._sms, self._sms, self._hook),
        ]
        people: Counter[tuple[object, int]] = Counter()
        for number, make in zip(range(self.count), cycle(makers), strict=False):
            connection = number // len(makers) % TENANTS
            yield make(connection, people[make, connection])
            people[make, connection] += 1

    def _telegram(self, place: int, person: int) -> Talk:
        # Half of the bots are called, half of them fetch.
        bot = self.stage.bots[place * TENANTS + person % 2].account
        name = f"t{place}-{person}"
        return TelegramTalk(name, self.stage, self.questions, bot=bot, user=1000 + person)

    def _slack(self, place: int, person: int) -> Talk:
        app, slack = self.stage.apps[place], self.stage.slack
        channel = None
        if person % 2:
            bots = [one.account.bot.id for one in self.stage.apps]
            channel = slack.world.add_channel(app.account.team, f"c{place}-{person}", bots).id
        return SlackTalk(
            f"s{place}-{person}",
            self.stage,
            self.questions,
            app=place,
            user=f"U0{person:03}",
            channel=channel,
        )

    def _sms(self, place: int, person: int) -> Talk:
        account, name = self.stage.numbers[place].account, f"m{place}-{person}"
        who = f"+1555765{person:04}"
        return SmsTalk(name, self.stage, self.questions, account=account, person=who)

    def _hook(self, place: int, person: int) -> Talk:
        # The tenants' senders and messages have equal ids, too.
        dice = random.Random(self.seed + place * self.count + person)
        return HookTalk(
            f"w{person}",
            self.stage,
            self.questions,
            self._answered,
            self.stage.hooks[place],
            f"learner-{person}",
            dice,
        )

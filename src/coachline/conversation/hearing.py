"""What comes before an answer: a burst is read, and what needs no model is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from channel_kit import Attachment, EventKind
from coachline.conversation.burst import Burst, fold, list_changed
from coachline.conversation.command_desk import Commands
from coachline.conversation.commands import Command, CommandName, parse_command, parse_digit
from coachline.conversation.helping import Helping
from coachline.conversation.history import NEWEST, NOT_READ
from coachline.conversation.notices import Notices
from coachline.conversation.pausing import Pausing
from coachline.conversation.prompt import Attached
from coachline.conversation.redaction import Redaction
from coachline.conversation.scene import Scene, notice
from coachline.foundation.ids import EventId
from coachline.messaging import (
    DraftReply,
    Files,
    Message,
    Original,
    QueuedEvent,
    References,
    Transcripts,
    is_text,
)
from coachline.tenancy import Limits, Refused

_RECENT: Final = 30
_MOST_FILES: Final = 3

_KINDS: Final = frozenset({"photo", "document", "audio", "video"})


@dataclass(slots=True)
class Heard:
    """What a burst comes to before a model is asked.

    ``question`` is what is left for the coach, ``drafts`` what the gateway says itself,
    ``commanded`` the events that asked the gateway for something, ``passed`` those that come to
    nothing. ``fetched`` counts the files that were asked for, had or not. ``quoted`` is our own
    message that the question answers.
    """

    question: str = ""
    attached: list[Attached] = field(default_factory=list)
    fetched: int = 0
    quoted: str | None = None
    is_correction: bool = False
    drafts: list[DraftReply] = field(default_factory=list)
    commanded: set[EventId] = field(default_factory=set)
    passed: set[EventId] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ears:
    """What hearing needs; each does one part of it."""

    references: References
    redaction: Redaction
    transcripts: Transcripts
    files: Files
    notices: Notices
    limits: Limits
    helping: Helping
    pausing: Pausing
    commands: Commands


class Hearing:
    """Reads bursts. What it does may be done twice: a turn that breaks is run again."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears

    async def hear(self, scene: Scene) -> Heard:
        """Return what the turn's events come to.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
            LeaseLost: another process has the conversation.
        """
        burst = await self._fold(scene)
        heard = Heard(
            is_correction=burst.is_correction, passed=set(burst.passed), notes=list(burst.notes)
        )
        await self._hear_platform(scene, burst, heard)
        recent = await self._recent(scene) if any(map(_looks_back, burst.said)) else []
        asked: list[QueuedEvent] = []
        orders: list[tuple[QueuedEvent, Command]] = []
        for event in burst.said:
            meant = _meaning(scene, event, recent)
            if isinstance(meant, Command):
                orders.append((event, meant))
            elif meant is None:
                heard.notes.append("a button of no recent reply")
                heard.passed.add(event.id)
            else:
                asked.append(event)
                heard.question = f"{heard.question}\n{meant}".strip()
        await self._obey(scene, orders, recent, heard)
        if asked:
            await self._read_along(scene, asked, heard)
        return heard

    async def _fold(self, scene: Scene) -> Burst:
        events, lease = scene.turn.events, scene.turn.lease
        find = self._ears.references.find_original
        originals: dict[str, Original] = {}
        for external_id in list_changed(events):
            found = await find(lease.tenant_id, lease.conversation_id, external_id)
            if found is not None:
                originals[external_id] = found
        early = await self._list_early(scene)
        burst = fold((*early, *events), originals)
        where = lease.tenant_id, lease.conversation_id
        await self._ears.redaction.scrub(*where, burst.erased)
        return burst

    async def _list_early(self, scene: Scene) -> list[QueuedEvent]:
        """Changes of what was said now that were heard, to no avail, before it."""
        if not scene.capabilities.edits_in:
            return []
        lease = scene.turn.lease
        return await self._ears.references.list_early_changes(
            lease.tenant_id, lease.conversation_id, scene.turn.events
        )

    async def _hear_platform(self, scene: Scene, burst: Burst, heard: Heard) -> None:
        """Hear what the platform tells about the learner: consent, arrival, unreadable things."""
        for event in burst.consents:
            if event.consent is None:
                continue
            heard.commanded.add(event.id)
            reply = await self._ears.pausing.hear(scene, event)
            heard.notes.append(f"consent: {event.consent}")
            heard.drafts += [reply] if reply is not None else []
        if scene.turn.is_held:
            # A coach is there to say hello, and sees what the gateway cannot read.
            return
        if burst.is_opened and not burst.said:
            if await self._ears.notices.claim(scene.turn, "greeting"):
                heard.drafts.append(self._ears.helping.greet(scene))
            else:
                heard.notes.append("greeted before")
        if burst.unsupported:
            if await self._ears.notices.claim(scene.turn, "unsupported"):
                heard.drafts.append(self._ears.helping.regret(scene))
            else:
                heard.notes.append("told before what cannot be read")

    async def _recent(self, scene: Scene) -> list[Message]:
        lease = scene.turn.lease
        return await self._ears.transcripts.tail(
            lease.tenant_id, lease.conversation_id, before_seq=NEWEST, limit=_RECENT
        )

    async def _obey(
        self,
        scene: Scene,
        orders: Sequence[tuple[QueuedEvent, Command]],
        recent: list[Message],
        heard: Heard,
    ) -> None:
        """Answer commands; they count against the learner's rate, and no stop is ever refused."""
        if not orders:
            return
        turn = scene.turn
        verdict = await self._ears.limits.take_command(turn.lease.tenant_id, scene.learner.id)
        is_refused = isinstance(verdict, Refused)
        for event, command in orders:
            # The edits of a command that were folded into it ask the gateway as well.
            heard.commanded |= {
                one.id
                for one in turn.events
                if one.id == event.id or one.reply_to == event.external_id
            }
            if is_refused and command.name is not CommandName.STOP:
                heard.notes.append(f"command refused: {command.name}")
                continue
            heard.notes.append(f"command: {command.name}")
            reply = await self._ears.commands.answer(scene, command, event, recent)
            heard.drafts += [reply] if reply is not None else []
        if is_refused and await self._ears.notices.claim(turn, "learner_rate"):
            heard.drafts.append(notice(scene.sentences.too_fast))

    async def _read_along(self, scene: Scene, asked: Sequence[QueuedEvent], heard: Heard) -> None:
        """Fetch what belongs to the question: files, and our own message that it answers."""
        lease = scene.turn.lease
        for event in asked:
            for attachment in event.attachments:
                await self._open(scene, attachment, heard)
            if event.reply_to is not None and event.kind is EventKind.MESSAGE:
                heard.quoted = await self._ears.references.find_quoted(
                    lease.tenant_id, lease.conversation_id, event.reply_to
                )

    async def _open(self, scene: Scene, attachment: Attachment, heard: Heard) -> None:
        text = None
        # Those that fail count as well: each may take as long as a fetch may last.
        if heard.fetched < _MOST_FILES and is_text(attachment):
            heard.fetched += 1
            text = await self._ears.files.fetch_text(scene.turn, attachment)
        if text is not None:
            heard.attached.append(Attached(attachment.name or "file", text))
            return
        kind = attachment.kind if attachment.kind in _KINDS else "file"
        article = "an" if kind == "audio" else "a"
        remark = f"[the person sent {article} {kind}, which you cannot see]"
        heard.question = f"{heard.question}\n{remark}".strip()


def _looks_back(event: QueuedEvent) -> bool:
    """Whether an event may only be understood by what was said before: most are not."""
    is_digit = parse_digit(event.text) is not None
    return event.kind is EventKind.BUTTON or is_digit or CommandName.FORGET in event.text.lower()


def _meaning(scene: Scene, event: QueuedEvent, recent: Sequence[Message]) -> Command | str | None:
    """What an event asks: a command of the gateway, words for the coach, or nothing that holds."""
    text, capabilities = event.text.strip(), scene.capabilities
    match event.kind:
        case EventKind.BUTTON:
            if not _is_offered(text, recent):
                return None
            return parse_command(text, is_bare=False) or text
        case EventKind.COMMAND:
            return parse_command(text or CommandName.HELP.value, is_bare=True) or text
        case _:
            if not capabilities.buttons and (number := parse_digit(text)) is not None:
                value = _numbered(number, event, recent, scene)
                if value is not None:
                    return parse_command(value, is_bare=False) or value
            words = scene.profile.human_words
            is_bare = capabilities.bare_commands
            return parse_command(text, is_bare=is_bare, human_words=words) or text


def _is_offered(value: str, recent: Sequence[Message]) -> bool:
    offered = {choice.value for message in recent for choice in message.choices}
    sources = {f"/source {one.number}" for message in recent for one in message.citations}
    return value in offered | sources


def _numbered(
    number: int, event: QueuedEvent, recent: Sequence[Message], scene: Scene
) -> str | None:
    """What a bare digit stands for: a choice of our last message, or one of its sources."""
    shown = (m for m in reversed(recent) if m.author != "learner" and m.state not in NOT_READ)
    last = next((message for message in shown if message.seq < event.seq), None)
    if last is None:
        return None
    if last.choices:
        return last.choices[number - 1].value if number <= len(last.choices) else None
    is_asked_so = scene.capabilities.citations == "request"
    if is_asked_so and any(one.number == number for one in last.citations):
        return f"/source {number}"
    return None

"""Answers cut into what one call of a platform takes, and which parts wait for "more"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from channel_kit import Channel, Choice, Citation, Shaping
from channel_kit.text import measure, split
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ReplyId, TurnId, new_id
from coachline.messaging.repository import OutboxRepository
from coachline.messaging.tables import ConversationRow, ReplyRow
from coachline.messaging.turns import DraftReply, Lane

_LEAST_ROOM = 16


@dataclass(frozen=True, slots=True)
class ReplyPart:
    """One row of the outbox. ``is_held`` waits until the learner asks for more."""

    text: str
    citations: tuple[Citation, ...] = ()
    choices: tuple[Choice, ...] = ()
    hint: str = ""
    is_notice: bool = False
    is_held: bool = False


def cut(drafts: Sequence[DraftReply], channel: Channel) -> list[ReplyPart]:
    """The parts of all drafts, in order.

    Where a channel sends few parts at once, the last of each such group says how to get more, and
    the groups after the first are held. Citations and choices go to the last part of a draft.
    """
    return list(chain.from_iterable(_cut(draft, channel) for draft in drafts))


def _cut(draft: DraftReply, channel: Channel) -> list[ReplyPart]:
    capabilities = channel.capabilities
    asks_source = bool(draft.citations) and capabilities.citations == "request"
    last_hint = draft.ask_source if asks_source else ""
    texts = _shape(draft.text, channel, last_hint)
    at_once = capabilities.parts_at_once if draft.more else None
    if at_once is not None and len(texts) > at_once:
        # Every part leaves room for the longer hint: which part says what is not known before.
        texts = _shape(draft.text, channel, max(draft.more, last_hint, key=len))
    parts = [
        ReplyPart(
            text,
            is_notice=draft.is_notice,
            is_held=at_once is not None and place > at_once,
            hint=draft.more if at_once is not None and place % at_once == 0 else "",
        )
        for place, text in enumerate(texts, start=1)
    ]
    if parts:
        parts[-1] = replace(
            parts[-1], citations=draft.citations, choices=draft.choices, hint=last_hint
        )
    return parts


def _shape(text: str, channel: Channel, hint: str) -> Sequence[str]:
    if isinstance(channel, Shaping):
        return channel.shape(text, hint=hint)
    capabilities = channel.capabilities
    room = capabilities.max_text
    if hint:
        room = max(_LEAST_ROOM, room - measure(f"\n\n{hint}", capabilities.text_unit))
    return split(text, room, capabilities.text_unit)


def store(
    session: TenantSession,
    outbox: OutboxRepository,
    row: ConversationRow,
    parts: Sequence[ReplyPart],
    *,
    turn_id: TurnId | None = None,
    in_reply_to: Sequence[str] = (),
    lane: Lane = "conversation",
    handle: str | None = None,
    author: Literal["bot", "coach"] = "bot",
    actor: str | None = None,
    is_proposed: bool = False,
) -> list[ReplyId]:
    """Put parts into the outbox of a locked conversation; ``handle`` is for the first.

    With ``is_proposed`` all but notices wait for a coach. ``actor`` is the person who says it.
    """
    ids: list[ReplyId] = []
    for number, part in enumerate(parts, start=1):
        row.last_seq += 1
        reply = ReplyRow(
            tenant_id=session.tenant_id,
            id=new_id(),
            conversation_id=row.id,
            turn_id=turn_id,
            part=number,
            parts=len(parts),
            seq=row.last_seq,
            text=part.text,
            citations=[citation.model_dump() for citation in part.citations],
            in_reply_to=list(in_reply_to),
            choices=[choice.model_dump() for choice in part.choices],
            hint=part.hint,
            is_notice=part.is_notice,
            lane=lane,
            handle=handle if number == 1 else None,
            author=author,
            actor=actor,
            state=_state(part, is_proposed=is_proposed),
        )
        outbox.add(session, reply)
        ids.append(ReplyId(reply.id))
    return ids


def _state(part: ReplyPart, *, is_proposed: bool) -> str:
    if is_proposed and not part.is_notice:
        return "proposed"
    return "held" if part.is_held else "pending"


def released_states(parts: Sequence[ReplyRow]) -> list[str]:
    """The states of the parts of one proposed answer once it may be sent.

    Those behind a hint that tells how to get more wait for that, as if never proposed.
    """
    states: list[str] = []
    is_held = False
    for place, part in enumerate(parts, start=1):
        states.append("held" if is_held else "pending")
        is_held = is_held or (bool(part.hint) and place < len(parts))
    return states

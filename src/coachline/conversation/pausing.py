"""When a learner wants to hear from the coach unasked, told by commands and by platforms."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from channel_kit import Choice
from coachline.conversation.commands import CommandName, parse_span
from coachline.conversation.local_time import zone_of
from coachline.conversation.pausing_sentences import pausing_in
from coachline.conversation.scene import Scene, notice
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database
from coachline.learners import Consent, LinkCodes
from coachline.messaging import DraftReply, QueuedEvent

_SPANS: Final = ("1d", "3d", "1w")


class Pausing:
    """Writes what learners want into the consent ledger. A pause counts on all their channels."""

    def __init__(
        self, database: Database, consent: Consent, codes: LinkCodes, clock: Clock
    ) -> None:
        self._database = database
        self._consent = consent
        self._codes = codes
        self._clock = clock

    async def pause(self, scene: Scene, argument: str) -> DraftReply:
        """Answer ``/pause 3d``; without a span, ask for one."""
        words = pausing_in(scene.language)
        span = parse_span(argument)
        if span is None:
            labels = (words.one_day, words.three_days, words.one_week)
            choices = tuple(
                Choice(label=label, value=f"/pause {span}")
                for label, span in zip(labels, _SPANS, strict=True)
            )
            return notice(words.ask.format(pause=scene.written(CommandName.PAUSE)), choices)
        until = (self._clock.now() + span).replace(second=0, microsecond=0) + timedelta(minutes=1)
        async with self._database.tenant(scene.turn.lease.tenant_id) as session:
            learner_id = await self._codes.learner_of(session, scene.identity_id)
            for member in await self._codes.list_members(session, learner_id):
                await self._consent.record(
                    session,
                    learner_id,
                    member.connection_id,
                    "paused",
                    source="learner",
                    until=until,
                )
        local = until.astimezone(zone_of(scene.learner.time_zone))
        return notice(
            words.paused.format(
                until=f"{local:%Y-%m-%d %H:%M}", resume=scene.written(CommandName.RESUME)
            )
        )

    async def resume(self, scene: Scene) -> DraftReply:
        """Answer ``/resume``."""
        async with self._database.tenant(scene.turn.lease.tenant_id) as session:
            learner_id = await self._codes.learner_of(session, scene.identity_id)
            for member in await self._codes.list_members(session, learner_id):
                await self._consent.record(
                    session, learner_id, member.connection_id, "resumed", source="learner"
                )
        return notice(pausing_in(scene.language).resumed)

    async def stop(self, scene: Scene) -> DraftReply:
        """Answer ``/stop``: nothing unasked on this connection any more."""
        async with self._database.tenant(scene.turn.lease.tenant_id) as session:
            await self._consent.record(
                session,
                await self._codes.learner_of(session, scene.identity_id),
                scene.turn.connection_id,
                "withdrawn",
                source="learner",
                reason="stop",
            )
        words = pausing_in(scene.language)
        return notice(words.stopped.format(start=scene.written(CommandName.START)))

    async def start(self, scene: Scene) -> DraftReply | None:
        """Allow it again; None when it was allowed all along, so that nothing need be said."""
        async with self._database.tenant(scene.turn.lease.tenant_id) as session:
            learner_id = await self._codes.learner_of(session, scene.identity_id)
            connection_id = scene.turn.connection_id
            was_allowed = await self._consent.allows(session, learner_id, connection_id)
            await self._consent.record(
                session, learner_id, connection_id, "granted", source="learner", reason="start"
            )
        words = pausing_in(scene.language)
        text = words.started.format(stop=scene.written(CommandName.STOP))
        return None if was_allowed else notice(text)

    async def hear(self, scene: Scene, event: QueuedEvent) -> DraftReply | None:
        """Write down what a platform or a free text told; confirm what the platform did not."""
        reply: DraftReply | None = None
        match event.consent:
            case "stop":
                reply = await self.stop(scene)
            case "start":
                reply = await self.start(scene)
            case "blocked" | "unblocked":
                await self._bar(scene, is_barred=event.consent == "blocked")
        return reply if event.text.strip() else None

    async def _bar(self, scene: Scene, *, is_barred: bool) -> None:
        """Write down whether the platform lets us write; what the learner said stands."""
        connection_id = scene.turn.connection_id
        async with self._database.tenant(scene.turn.lease.tenant_id) as session:
            learner_id = await self._codes.learner_of(session, scene.identity_id)
            if is_barred:
                await self._consent.record(
                    session,
                    learner_id,
                    connection_id,
                    "withdrawn",
                    source="platform",
                    reason="blocked",
                )
            else:
                await self._consent.lift(session, learner_id, connection_id)

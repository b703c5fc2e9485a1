"""One turn, from the learner's words to a saved reply: its events are heard, then seven steps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from channel_kit import EventKind
from coachline.conversation.commands import CommandName
from coachline.conversation.hearing import Heard, Hearing
from coachline.conversation.help_sentences import help_in
from coachline.conversation.history import History, Window
from coachline.conversation.local_time import zone_of
from coachline.conversation.notices import Notices
from coachline.conversation.prompt import (
    PROMPT_VERSION,
    Prompt,
    PromptDoesNotFit,
    PromptParts,
    build_prompt,
)
from coachline.conversation.reach import Reach
from coachline.conversation.rules import ConversationRules
from coachline.conversation.scene import Scene, notice, place_of
from coachline.conversation.stopwatch import Stopwatch
from coachline.conversation.summaries import Summaries
from coachline.conversation.wording import Wording, whole_sentences
from coachline.foundation.clock import Clock
from coachline.foundation.ids import EventId
from coachline.inference import Answer, ChatRequest, ModelBusy, Models, ModelsUnavailable
from coachline.knowledge import Passage, Retrieval, Retrieved
from coachline.learners import Learners
from coachline.messaging import (
    Connections,
    DraftReply,
    Drafts,
    EventState,
    Outcome,
    Transcripts,
    Turn,
    TurnLedger,
    TurnTrace,
)
from coachline.tenancy import Limits, Refused, Tenants

_SHOW_SECONDS: Final = 0.1
_HEARD: Final = frozenset(
    {
        EventKind.MESSAGE,
        EventKind.EDIT,
        EventKind.DELETE,
        EventKind.BUTTON,
        EventKind.COMMAND,
        EventKind.OPENED,
        EventKind.CONSENT,
        EventKind.UNSUPPORTED,
    }
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """What the orchestrator coordinates; each does one of its steps."""

    tenants: Tenants
    learners: Learners
    connections: Connections
    transcripts: Transcripts
    hearing: Hearing
    reach: Reach
    limits: Limits
    notices: Notices
    history: History
    retrieval: Retrieval
    models: Models
    drafts: Drafts
    ledger: TurnLedger
    summaries: Summaries


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a turn ends: what is said, if anything, and the trace of how it came to that."""

    trace: TurnTrace
    drafts: tuple[DraftReply, ...] = ()
    apart: Mapping[EventId, EventState] = field(default_factory=dict)
    is_summary_due: bool = False


class Orchestrator:
    """Answers turns. Trouble with a model, the vector store or a summary never stops one."""

    def __init__(self, services: Services, rules: ConversationRules, clock: Clock) -> None:
        self._services = services
        self._rules = rules
        self._clock = clock

    async def answer(self, turn: Turn) -> None:
        """Bring a turn to its end: a reply, a notice, or a record that nothing is to be said.

        Raises:
            LeaseLost: another process has the conversation; nothing was saved.
            TurnOvertaken: a message of the turn was edited or deleted meanwhile; nothing was saved.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        watch = Stopwatch(self._clock)
        ending = await self._find_ending(turn, watch)
        await self._save(turn, ending, watch)
        if ending.is_summary_due:
            await self._services.summaries.request(turn.lease.tenant_id, turn.lease.conversation_id)

    async def _find_ending(self, turn: Turn, watch: Stopwatch) -> _Ending:
        if not any(event.kind in _HEARD for event in turn.events):
            return _Ending(TurnTrace("recorded", PROMPT_VERSION, notes=("no message to answer",)))
        scene = await self._enter(turn)
        if turn.exhausted:
            poison = TurnTrace("parked", PROMPT_VERSION, notes=("tried too often",))
            return await self._apologise(turn, scene, poison)
        with watch.step("events"):
            heard = await self._services.hearing.hear(scene)
        ending = await self._respond(scene, heard, watch)
        apart: dict[EventId, EventState] = dict.fromkeys(heard.passed, "recorded")
        apart |= dict.fromkeys(heard.commanded, "commanded")
        return replace(
            ending,
            drafts=(*heard.drafts, *ending.drafts),
            trace=replace(ending.trace, notes=(*heard.notes, *ending.trace.notes)),
            apart=apart,
        )

    async def _respond(self, scene: Scene, heard: Heard, watch: Stopwatch) -> _Ending:
        """Steps 1 to 6 for what is left to be answered, if anything is."""
        turn = scene.turn
        if not heard.question and not heard.attached:
            outcome: Outcome = "commanded" if heard.commanded else "recorded"
            notes = () if heard.notes or heard.drafts else ("no message to answer",)
            return _Ending(TurnTrace(outcome, PROMPT_VERSION, notes=notes))
        with watch.step("limits"):
            refusal = await self._check_limits(turn, scene)
        if refusal is not None:
            return refusal
        with watch.step("history"):
            window = await self._read_history(turn, scene)
        with watch.step("passages"):
            found = await self._find_passages(turn, heard.question)
        try:
            with watch.step("prompt"):
                prompt = self._build_prompt(scene, heard, window, found)
        except PromptDoesNotFit as error:
            log.warning("prompt.does_not_fit", tenant_id=str(turn.lease.tenant_id))
            unfit = TurnTrace("fallback", PROMPT_VERSION, notes=(error.code,))
            return await self._apologise(turn, scene, unfit)
        trace = TurnTrace(
            "answered",
            PROMPT_VERSION,
            passages=tuple(_about(passage) for passage in prompt.passages),
            notes=(*prompt.notes, *_problem(found)),
        )
        ending = await self._write(turn, scene, prompt, trace, watch)
        return replace(ending, is_summary_due=window.is_overflowing)

    async def _write(
        self, turn: Turn, scene: Scene, prompt: Prompt, trace: TurnTrace, watch: Stopwatch
    ) -> _Ending:
        wording = Wording(scene.profile.display_name, prompt.passages, self._rules.good_score)
        try:
            with watch.step("model"):
                async with self._services.ledger.watch(turn):
                    answer = await self._ask_model(turn, scene, prompt, wording)
        except (ModelsUnavailable, ModelBusy) as error:
            return await self._apologise(turn, scene, _failed(trace, *_reasons(error)))
        trace = replace(
            trace,
            model=answer.model,
            prompt_tokens=answer.prompt_tokens,
            answer_tokens=answer.answer_tokens,
            notes=(*trace.notes, *_cut(answer)),
        )
        with watch.step("wording"):
            reply = self._word(scene, wording, answer)
        if reply is None:
            return await self._apologise(turn, scene, _failed(trace, "nothing left of the answer"))
        return _Ending(trace, (reply,))

    async def _enter(self, turn: Turn) -> Scene:
        tenant_id, services = turn.lease.tenant_id, self._services
        profile = await services.tenants.profile(tenant_id)
        here = await services.transcripts.get_conversation(tenant_id, turn.lease.conversation_id)
        live = await services.connections.live(tenant_id, turn.connection_id)
        return Scene(
            turn=turn,
            profile=profile,
            learner=await services.learners.get(tenant_id, turn.learner_id),
            identity_id=here.identity_id,
            capabilities=live.channel.capabilities,
            place=place_of(live.channel.name, turn.thread),
            is_private=here.is_private,
        )

    async def _check_limits(self, turn: Turn, scene: Scene) -> _Ending | None:
        """Step 1: count the turn; over the limit, say so once and ask no model."""
        verdict = await self._services.limits.take_message(
            turn.lease.tenant_id,
            turn.learner_id,
            messages_per_day=scene.profile.messages_per_day,
        )
        if not isinstance(verdict, Refused):
            return None
        trace = TurnTrace("refused", PROMPT_VERSION, notes=(verdict.reason,))
        if not await self._services.notices.claim(turn, verdict.reason):
            return _Ending(replace(trace, notes=(*trace.notes, "the learner was told before")))
        is_rate = verdict.reason == "learner_rate"
        text = scene.sentences.too_fast if is_rate else scene.sentences.enough_today
        return _Ending(trace, (notice(text),))

    async def _read_history(self, turn: Turn, scene: Scene) -> Window:
        """Step 2: what was said before, as far as it fits, and the summary of the rest."""
        return await self._services.history.read(
            turn.lease.tenant_id,
            turn.lease.conversation_id,
            current=frozenset(event.id for event in turn.events),
            apology=scene.profile.apology,
            shared=await self._services.reach.list_shared(scene),
        )

    async def _find_passages(self, turn: Turn, question: str) -> Retrieved:
        """Step 3: what the tenant's documents say; nothing rather than failing."""
        return await self._services.retrieval.search(
            turn.lease.tenant_id, question, limit=self._rules.passages
        )

    def _build_prompt(self, scene: Scene, heard: Heard, window: Window, found: Retrieved) -> Prompt:
        """Step 4: the stack of platform, tenant and learner, within the token budget."""
        learner, profile = scene.learner, scene.profile
        return build_prompt(
            PromptParts(
                speaker=profile.display_name,
                persona=profile.persona,
                learner_name=learner.name,
                language=learner.language,
                local_time=self._clock.now().astimezone(zone_of(learner.time_zone)),
                time_zone=learner.time_zone,
                question=heard.question,
                passages=found.passages,
                summary=window.summary,
                history=window.messages,
                answer_characters=scene.capabilities.answer_characters,
                is_plain=scene.capabilities.formatting == "plain",
                attached=heard.attached,
                quoted=heard.quoted,
                is_correction=heard.is_correction,
            ),
            budget_tokens=self._rules.prompt_tokens,
        )

    async def _ask_model(
        self, turn: Turn, scene: Scene, prompt: Prompt, wording: Wording
    ) -> Answer:
        """Step 5: the tenant's model, then its fallbacks; shown while it is written."""
        request = ChatRequest(
            tenant_id=turn.lease.tenant_id,
            models=self._rules.models(scene.profile),
            messages=prompt.messages,
            max_tokens=self._rules.answer_tokens_for(scene.capabilities.answer_characters),
        )
        now = asyncio.get_running_loop().time
        next_at = 0.0
        async with self._services.drafts.open(turn) as draft:

            async def show(written: str) -> None:
                # Worded like the reply itself: a link that may not leave may not leave here.
                # Not at every token, for wording costs more than most tokens bring.
                nonlocal next_at
                if now() >= next_at:
                    next_at = now() + _SHOW_SECONDS
                    await draft.show(wording.text(written))

            return await self._services.models.answer(request, show)

    @staticmethod
    def _word(scene: Scene, wording: Wording, answer: Answer) -> DraftReply | None:
        """Step 6: the model's text made fit for a learner, with its citations and hints."""
        is_cut = answer.done_reason == "length"
        reply = wording.reply(whole_sentences(answer.text) if is_cut else answer.text)
        if reply is None:
            return None
        hints = help_in(scene.language)
        more = hints.more_hint.format(more=scene.written(CommandName.MORE))
        return replace(reply, more=more, ask_source=hints.source_hint)

    async def _apologise(self, turn: Turn, scene: Scene, trace: TurnTrace) -> _Ending:
        """In place of step 6: one polite sentence, unless it was said a moment ago."""
        if await self._services.notices.claim(turn, "apology"):
            text = scene.profile.apology or scene.sentences.apology
            return _Ending(trace, (notice(text),))
        silent = replace(trace, notes=(*trace.notes, "the apology was said before"))
        if trace.outcome == "fallback":
            silent = replace(silent, outcome="recorded")
        return _Ending(silent)

    async def _save(self, turn: Turn, ending: _Ending, watch: Stopwatch) -> None:
        """Step 7: the turn, its replies and its events' end, in one fenced transaction."""
        trace = replace(ending.trace, timings=watch.seconds)
        await self._services.ledger.save(turn, ending.drafts, trace, apart=ending.apart)
        log.info(
            "turn.ended",
            turn_id=str(turn.id),
            outcome=trace.outcome,
            model=trace.model,
            notes=trace.notes,
            **{f"{step}_seconds": seconds for step, seconds in watch.seconds.items()},
        )


def _failed(trace: TurnTrace, *notes: str) -> TurnTrace:
    return replace(trace, outcome="fallback", notes=(*trace.notes, *notes))


def _reasons(error: ModelsUnavailable | ModelBusy) -> tuple[str, ...]:
    return error.reasons if isinstance(error, ModelsUnavailable) else (error.code,)


def _cut(answer: Answer) -> tuple[str, ...]:
    return ("the answer ran into its limit",) if answer.done_reason == "length" else ()


def _problem(found: Retrieved) -> tuple[str, ...]:
    return (found.problem,) if found.problem else ()


def _about(passage: Passage) -> dict[str, object]:
    return {
        "id": str(passage.id),
        "document_id": str(passage.document_id),
        "score": round(passage.score, 3),
    }

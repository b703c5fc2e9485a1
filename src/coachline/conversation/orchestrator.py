"""One turn, from the learner's words to a saved reply: seven steps, in this order, each named."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from channel_kit import EventKind
from coachline.conversation.history import History, Window
from coachline.conversation.notices import Notices
from coachline.conversation.prompt import (
    PROMPT_VERSION,
    Prompt,
    PromptDoesNotFit,
    PromptParts,
    build_prompt,
)
from coachline.conversation.rules import ConversationRules
from coachline.conversation.sentences import Sentences, sentences_in
from coachline.conversation.summaries import Summaries
from coachline.conversation.wording import Wording, whole_sentences
from coachline.foundation.clock import Clock
from coachline.inference import Answer, ChatRequest, ModelBusy, Models, ModelsUnavailable
from coachline.knowledge import Passage, Retrieval, Retrieved
from coachline.learners import Learner, Learners
from coachline.messaging import DraftReply, Drafts, Turn, TurnLedger, TurnTrace
from coachline.tenancy import Limits, Refused, TenantProfile, Tenants

_SHOW_SECONDS: Final = 0.1

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """What the orchestrator coordinates; each does one of its steps."""

    tenants: Tenants
    learners: Learners
    limits: Limits
    notices: Notices
    history: History
    retrieval: Retrieval
    models: Models
    drafts: Drafts
    ledger: TurnLedger
    summaries: Summaries


@dataclass(frozen=True, slots=True)
class _Scene:
    """Who talks to whom."""

    profile: TenantProfile
    learner: Learner

    @property
    def sentences(self) -> Sentences:
        return sentences_in(self.learner.language)


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a turn ends: what is said, if anything, and the trace of how it came to that."""

    trace: TurnTrace
    drafts: tuple[DraftReply, ...] = ()
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
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        watch = _Stopwatch(self._clock)
        ending = await self._find_ending(turn, watch)
        await self._save(turn, ending, watch)
        if ending.is_summary_due:
            await self._services.summaries.request(turn.lease.tenant_id, turn.lease.conversation_id)

    async def _find_ending(self, turn: Turn, watch: _Stopwatch) -> _Ending:
        question = _question(turn)
        if not question:
            return _Ending(TurnTrace("recorded", PROMPT_VERSION, notes=("no message to answer",)))
        scene = await self._enter(turn)
        if turn.exhausted:
            poison = TurnTrace("parked", PROMPT_VERSION, notes=("tried too often",))
            return await self._apologise(turn, scene, poison)
        with watch.step("limits"):
            refusal = await self._check_limits(turn, scene)
        if refusal is not None:
            return refusal
        with watch.step("history"):
            window = await self._read_history(turn, scene)
        with watch.step("passages"):
            found = await self._find_passages(turn, question)
        try:
            with watch.step("prompt"):
                prompt = self._build_prompt(scene, question, window, found)
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
        self, turn: Turn, scene: _Scene, prompt: Prompt, trace: TurnTrace, watch: _Stopwatch
    ) -> _Ending:
        wording = Wording(scene.profile.display_name, prompt.passages, self._rules.good_score)
        try:
            with watch.step("model"):
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
            reply = self._word(wording, answer)
        if reply is None:
            return await self._apologise(turn, scene, _failed(trace, "nothing left of the answer"))
        return _Ending(trace, (reply,))

    async def _enter(self, turn: Turn) -> _Scene:
        tenant_id = turn.lease.tenant_id
        profile = await self._services.tenants.profile(tenant_id)
        return _Scene(profile, await self._services.learners.get(tenant_id, turn.learner_id))

    async def _check_limits(self, turn: Turn, scene: _Scene) -> _Ending | None:
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
        return _Ending(trace, (DraftReply(text),))

    async def _read_history(self, turn: Turn, scene: _Scene) -> Window:
        """Step 2: what was said before, as far as it fits, and the summary of the rest."""
        return await self._services.history.read(
            turn.lease.tenant_id,
            turn.lease.conversation_id,
            current=frozenset(event.id for event in turn.events),
            apology=scene.profile.apology,
        )

    async def _find_passages(self, turn: Turn, question: str) -> Retrieved:
        """Step 3: what the tenant's documents say; nothing rather than failing."""
        return await self._services.retrieval.search(
            turn.lease.tenant_id, question, limit=self._rules.passages
        )

    def _build_prompt(
        self, scene: _Scene, question: str, window: Window, found: Retrieved
    ) -> Prompt:
        """Step 4: the stack of platform, tenant and learner, within the token budget."""
        learner, profile = scene.learner, scene.profile
        return build_prompt(
            PromptParts(
                speaker=profile.display_name,
                persona=profile.persona,
                learner_name=learner.name,
                language=learner.language,
                local_time=self._clock.now().astimezone(_zone(learner.time_zone)),
                time_zone=learner.time_zone,
                question=question,
                passages=found.passages,
                summary=window.summary,
                history=window.messages,
            ),
            budget_tokens=self._rules.prompt_tokens,
        )

    async def _ask_model(
        self, turn: Turn, scene: _Scene, prompt: Prompt, wording: Wording
    ) -> Answer:
        """Step 5: the tenant's model, then its fallbacks; shown while it is written."""
        request = ChatRequest(
            tenant_id=turn.lease.tenant_id,
            models=self._rules.models(scene.profile),
            messages=prompt.messages,
            max_tokens=self._rules.answer_tokens,
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
    def _word(wording: Wording, answer: Answer) -> DraftReply | None:
        """Step 6: the model's text made fit for a learner, with its citations."""
        is_cut = answer.done_reason == "length"
        return wording.reply(whole_sentences(answer.text) if is_cut else answer.text)

    async def _apologise(self, turn: Turn, scene: _Scene, trace: TurnTrace) -> _Ending:
        """In place of step 6: one polite sentence, unless it was said a moment ago."""
        if await self._services.notices.claim(turn, "apology"):
            text = scene.profile.apology or scene.sentences.apology
            return _Ending(trace, (DraftReply(text),))
        silent = replace(trace, notes=(*trace.notes, "the apology was said before"))
        if trace.outcome == "fallback":
            silent = replace(silent, outcome="recorded")
        return _Ending(silent)

    async def _save(self, turn: Turn, ending: _Ending, watch: _Stopwatch) -> None:
        """Step 7: the turn, its replies and its events' end, in one fenced transaction."""
        trace = replace(ending.trace, timings=watch.seconds)
        await self._services.ledger.save(turn, ending.drafts, trace)
        log.info(
            "turn.ended",
            turn_id=str(turn.id),
            outcome=trace.outcome,
            model=trace.model,
            notes=trace.notes,
            **{f"{step}_seconds": seconds for step, seconds in watch.seconds.items()},
        )


class _Stopwatch:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        since = self._clock.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self._clock.monotonic() - since, 6)


def _question(turn: Turn) -> str:
    """The burst as one text. What is no message is recorded, not answered."""
    texts = (e.text.strip() for e in turn.events if e.kind is EventKind.MESSAGE)
    return "\n".join(text for text in texts if text)


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


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # Known when it was stored; this machine's zone database may be older.
        return UTC

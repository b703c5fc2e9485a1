"""One turn, from the learner's words to a saved reply: its events are heard, then seven steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from channel_kit import EventKind
from coachline.conversation.hearing import Heard, Hearing
from coachline.conversation.history import History, Window
from coachline.conversation.local_time import zone_of
from coachline.conversation.notes import Notes
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
from coachline.conversation.safety.findings import Finding, described
from coachline.conversation.safety.reviews import SafetyReviews
from coachline.conversation.safety.safeguard import Safeguard
from coachline.conversation.scene import Scene, notice, place_of
from coachline.conversation.stopwatch import Stopwatch
from coachline.conversation.summaries import Summaries
from coachline.conversation.writing import Writing
from coachline.foundation.clock import Clock
from coachline.foundation.ids import EventId, ProposalId
from coachline.inference import Answer, ModelBusy, ModelsUnavailable
from coachline.knowledge import Passage, Retrieval, Retrieved
from coachline.learners import Learners
from coachline.messaging import (
    Connections,
    DraftReply,
    EventState,
    Outcome,
    Proposals,
    ProposalTerms,
    Transcripts,
    Turn,
    TurnLedger,
    TurnTrace,
)
from coachline.tenancy import Limits, Refused, Tenants

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

_HELD: Final = "a coach has the conversation"

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
    safeguard: Safeguard
    reviews: SafetyReviews
    writing: Writing
    ledger: TurnLedger
    summaries: Summaries
    notes: Notes
    proposals: Proposals


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a turn ends: what is said, if anything, and the trace of how it came to that.

    With ``terms`` a coach has to approve it. ``findings`` are what was judged unsafe.
    """

    trace: TurnTrace
    drafts: tuple[DraftReply, ...] = ()
    apart: Mapping[EventId, EventState] = field(default_factory=dict)
    terms: ProposalTerms | None = None
    findings: tuple[Finding, ...] = ()
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
        if ending.terms is not None and ending.terms.seconds is not None:
            await self._services.proposals.schedule(
                turn.lease.tenant_id,
                ProposalId(turn.id),
                after_seconds=ending.terms.seconds,
            )
        if ending.is_summary_due:
            await self._services.summaries.request(turn.lease.tenant_id, turn.lease.conversation_id)

    async def _find_ending(self, turn: Turn, watch: Stopwatch) -> _Ending:
        if not any(event.kind in _HEARD for event in turn.events):
            return _Ending(TurnTrace("recorded", PROMPT_VERSION, notes=("no message to answer",)))
        scene = await self._enter(turn)
        if turn.exhausted:
            if turn.is_held:
                notes = ("tried too often", _HELD)
                return _Ending(TurnTrace("parked", PROMPT_VERSION, notes=notes))
            poison = TurnTrace("parked", PROMPT_VERSION, notes=("tried too often",))
            return await self._apologise(turn, scene, poison)
        with watch.step("events"):
            heard = await self._services.hearing.hear(scene)
        with watch.step("safety"):
            judged = await self._services.safeguard.hear(scene, heard)
        if judged.kind == "crisis":
            ending = await self._alarm(scene, heard)
        else:
            ending = await self._respond(scene, heard, watch)
        found = () if judged.kind == "none" else (Finding("incoming", judged),)
        apart: dict[EventId, EventState] = dict.fromkeys(heard.passed, "recorded")
        apart |= dict.fromkeys(heard.commanded, "commanded")
        return replace(
            ending,
            drafts=(*heard.drafts, *ending.drafts),
            trace=replace(
                ending.trace,
                notes=(*heard.notes, *described("message", judged), *ending.trace.notes),
            ),
            apart=apart,
            findings=(*found, *ending.findings),
        )

    async def _respond(self, scene: Scene, heard: Heard, watch: Stopwatch) -> _Ending:
        """Steps 1 to 6 for what is left to be answered, if anything is."""
        turn = scene.turn
        if not heard.question and not heard.attached:
            outcome: Outcome = "commanded" if heard.commanded else "recorded"
            notes = () if heard.notes or heard.drafts else ("no message to answer",)
            return _Ending(TurnTrace(outcome, PROMPT_VERSION, notes=notes))
        if turn.is_held:
            return _Ending(TurnTrace("recorded", PROMPT_VERSION, notes=(_HELD,)))
        with watch.step("limits"):
            refusal = await self._check_limits(turn, scene)
        if refusal is not None:
            return refusal
        with watch.step("history"):
            window = await self._read_history(turn, scene)
            coach_notes = await self._read_notes(turn)
        with watch.step("passages"):
            found = await self._find_passages(turn, heard.question)
        try:
            with watch.step("prompt"):
                prompt = self._build_prompt(scene, heard, window, found, coach_notes)
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
        ending = await self._write(scene, prompt, trace, watch)
        return replace(ending, is_summary_due=window.is_overflowing)

    async def _write(
        self, scene: Scene, prompt: Prompt, trace: TurnTrace, watch: Stopwatch
    ) -> _Ending:
        """Steps 5 and 6; an answer that is judged unsafe waits for a coach, and it is said so."""
        turn = scene.turn
        try:
            written = await self._services.writing.write(scene, prompt, watch)
        except (ModelsUnavailable, ModelBusy) as error:
            return await self._apologise(turn, scene, _failed(trace, *_reasons(error)))
        answer, judged = written.answer, written.judgement
        trace = replace(
            trace,
            model=answer.model,
            prompt_tokens=answer.prompt_tokens,
            answer_tokens=answer.answer_tokens,
            notes=(*trace.notes, *_cut(answer), *described("answer", judged)),
        )
        if written.reply is None:
            return await self._apologise(turn, scene, _failed(trace, "nothing left of the answer"))
        if judged.kind == "none":
            return _Ending(trace, (written.reply,), terms=written.terms)
        excuse = await self._services.safeguard.excuse(scene)
        findings = (Finding("outgoing", judged),)
        return _Ending(trace, (*excuse, written.reply), terms=written.terms, findings=findings)

    async def _alarm(self, scene: Scene, heard: Heard) -> _Ending:
        """In place of all steps: the tenant's script, at once, unless a coach is there to speak."""
        trace = TurnTrace("recorded", PROMPT_VERSION)
        if heard.commanded and not heard.question:
            trace = replace(trace, outcome="commanded")
        script = () if scene.turn.has_coach else await self._services.safeguard.alarm(scene)
        return _Ending(trace, script)

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

    async def _read_notes(self, turn: Turn) -> tuple[str, ...]:
        """Step 2 as well: what coaches noted for the model."""
        return await self._services.notes.read_for_model(
            turn.lease.tenant_id, turn.lease.conversation_id
        )

    def _build_prompt(
        self,
        scene: Scene,
        heard: Heard,
        window: Window,
        found: Retrieved,
        coach_notes: tuple[str, ...],
    ) -> Prompt:
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
                coach_notes=coach_notes,
                had_coach=window.had_coach,
            ),
            budget_tokens=self._rules.prompt_tokens,
        )

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
        await self._services.ledger.save(
            turn,
            ending.drafts,
            trace,
            apart=ending.apart,
            terms=ending.terms,
            aside=self._services.reviews.aside(turn, ending.findings),
        )
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

"""Answers that wait for a coach: approved, edited, dropped, or out of time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import text

from channel_kit import Citation
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine, RetryLater
from coachline.foundation.ids import ConversationId, ProposalId, TenantId
from coachline.messaging import (
    DeliveryRules,
    DraftReply,
    LiveConnection,
    OnExpiry,
    Proposal,
    ProposalDecided,
    ProposalNotFound,
    Proposals,
    ProposalTerms,
    QueueRules,
    ReplyEmpty,
    Takeovers,
    Turn,
)
from coachline.tenancy import AuditLog
from fixtures.desk import TRACE, Desk, build_desk

EVA = "staff:eva"


@dataclass
class Drafting:
    """The room's services on a tenant whose answers wait for a coach."""

    desk: Desk
    proposals: Proposals
    takeovers: Takeovers

    async def propose(
        self,
        live: LiveConnection,
        *drafts: DraftReply,
        seconds: int | None = 600,
        on_expiry: OnExpiry = "drop",
    ) -> Turn:
        """A turn whose answer waits, given back by its worker."""
        turn = await self.desk.begin(live)
        terms = ProposalTerms("draft_mode", seconds, on_expiry)
        await self.desk.ledger.save(turn, drafts, TRACE, terms=terms)
        await self.desk.delivery.settle(turn.lease)
        await self.desk.queue.release(turn.lease)
        return turn

    async def waiting(self, live: LiveConnection) -> Proposal:
        """The tenant's only proposal."""
        (found,) = await self.proposals.list(live.tenant_id)
        return found

    async def work(self, live: LiveConnection) -> list[str]:
        """Send what may be sent; every text that the platform took."""
        lease = await self.desk.claim(live)
        await self.desk.delivery.settle(lease)
        await self.desk.queue.release(lease)
        return [reply.text for reply in self.desk.platform.accepted]

    async def decision(self, live: LiveConnection) -> str | None:
        """What became of the tenant's only proposal."""
        async with self.desk.database.tenant(live.tenant_id) as session:
            found: str | None = await session.scalar(text("select decision from proposal"))
        return found


@pytest.fixture
def drafting(database: Database) -> Drafting:
    """The services on a scripted platform."""
    desk = build_desk(database, QueueRules(), DeliveryRules(), SystemClock())
    audit = AuditLog(SystemClock())
    return Drafting(
        desk,
        Proposals(database, desk.connections, desk.queue, Engine(), audit),
        Takeovers(database, desk.connections, desk.queue, audit),
    )


async def _live(
    drafting: Drafting, tenant_id: TenantId, channel: str = "scripted"
) -> LiveConnection:
    live = await drafting.desk.connect(tenant_id, channel)
    await drafting.desk.receive(live, "hello")
    return live


@pytest.mark.parametrize("channel", ["scripted", "fillable", "placeholder"])
async def test_nothing_leaves_before_a_coach_approves_on_any_kind_of_channel(
    drafting: Drafting, tenants: tuple[TenantId, TenantId], channel: str
) -> None:
    live = await _live(drafting, tenants[0], channel)
    await drafting.propose(live, DraftReply("an answer"))
    assert drafting.desk.platform.names == []
    await drafting.proposals.approve(tenants[0], (await drafting.waiting(live)).id, actor=EVA)
    assert await drafting.work(live) == ["an answer"]
    assert await drafting.decision(live) == "approved"
    async with drafting.desk.database.tenant(tenants[0]) as session:
        told = await session.scalars(
            text("select data from feed_event where type = 'reply.decided'")
        )
        assert list(told) == [{"decision": "approved"}]


async def test_notices_beside_a_proposal_are_sent_at_once(
    drafting: Drafting, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await _live(drafting, tenants[0])
    await drafting.propose(live, DraftReply("a notice", is_notice=True), DraftReply("an answer"))
    assert [reply.text for reply in drafting.desk.platform.accepted] == ["a notice"]
    assert (await drafting.waiting(live)).text == "an answer"


async def test_a_draft_that_was_shown_before_the_mode_changed_is_taken_away(
    drafting: Drafting, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await _live(drafting, tenants[0], "fillable")
    turn = await drafting.desk.begin(live)
    async with drafting.desk.drafts.open(turn) as draft:
        await draft.show("half an ans")
    terms = ProposalTerms("draft_mode", None, "drop")
    await drafting.desk.ledger.save(turn, [DraftReply("an answer")], TRACE, terms=terms)
    assert drafting.desk.platform.screen == {}
    assert (await drafting.waiting(live)).decide_by is None


async def test_edited_words_are_the_coachs_and_keep_the_sources_they_name(
    drafting: Drafting, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await _live(drafting, tenants[0])
    cited = tuple(Citation(number=n, title=f"T{n}", source=f"s{n}") for n in (1, 2))
    await drafting.propose(live, DraftReply("sleep [1][2]", cited))
    proposal = await drafting.waiting(live)
    assert proposal.citations == cited
    await drafting.proposals.approve(tenants[0], proposal.id, actor=EVA, text="Sleep well [2].")
    assert await drafting.work(live) == ["Sleep well [2]."]
    here = ConversationId((await drafting.desk.row(live))["id"])  # type: ignore[arg-type]  # a UUID column
    _, bots, coachs = await drafting.desk.transcripts.list_messages(tenants[0], here)
    assert (bots.author, bots.state) == ("bot", "dropped")
    assert (coachs.author, coachs.actor, coachs.citations) == ("coach", EVA, cited[1:])
    assert coachs.in_reply_to == bots.in_reply_to


async def test_blank_words_are_refused_and_the_proposal_waits_on(
    drafting: Drafting, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await _live(drafting, tenants[0])
    await drafting.propose(live, DraftReply("an answer"))
    proposal = await drafting.waiting(live)
    with pytest.raises(ReplyEmpty):
        await drafting.proposals.approve(tenants[0], proposal.id, actor=EVA, text=" ")
    assert await drafting.waiting(live) == proposal


async def test_a_dropped_one_is_never_sent_and_can_not_be_decided_again(
    drafting: Drafting, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await _live(drafting, tenants[0])
    await drafting.propose(live, DraftReply("an answer"))
    proposal = await drafting.waiting(live)
    await drafting.proposals.drop(tenants[0], proposal.id, actor=EVA)
    assert await drafting.desk.states(live, "outbox_reply") == ["dropped"]
    with pytest.raises(ProposalDecided):
        await drafting.proposals.approve(tenants[0], proposal.id, actor=EVA)
    with pytest.raises(ProposalDecided):
        await drafting.proposals.drop(tenants[0], proposal.id, actor=EVA)


@pytest.mark.parametrize(("on_expiry", "state"), [("send", "pending"), ("drop", "dropped")])
async def test_out_of_time_it_goes_the_way_the_tenant_chose(
    drafting: Drafting, tenants: tuple[TenantId, TenantId], on_expiry: OnExpiry, state: str
) -> None:
    live = await _live(drafting, tenants[0])
    await drafting.propose(live, DraftReply("an answer"), on_expiry=on_expiry)
    proposal = await drafting.waiting(live)
    with pytest.raises(RetryLater):
        await drafting.proposals.expire(tenants[0], proposal.id)
    await drafting.proposals.sweep(tenants[0])
    assert await drafting.decision(live) is None
    await drafting.desk.run_sql(live, "update proposal set decide_by = now()")
    # The job was lost: the sweep takes it up.
    await drafting.proposals.sweep(tenants[0])
    assert await drafting.desk.states(live, "outbox_reply") == [state]
    assert await drafting.decision(live) == "expired"
    await drafting.proposals.expire(tenants[0], proposal.id)
    assert await drafting.proposals.list(tenants[0]) == []


async def test_out_of_time_nothing_is_sent_while_the_bot_is_held(
    drafting: Drafting, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await _live(drafting, tenants[0])
    await drafting.propose(live, DraftReply("an answer"), on_expiry="send")
    await drafting.desk.run_sql(live, "update conversation set is_bot_held = true")
    await drafting.desk.run_sql(live, "update proposal set decide_by = now()")
    await drafting.proposals.sweep(tenants[0])
    assert await drafting.desk.states(live, "outbox_reply") == ["dropped"]


async def test_what_a_coach_approves_is_sent_though_the_bot_is_held(
    drafting: Drafting, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await _live(drafting, tenants[0])
    await drafting.propose(live, DraftReply("an answer"))
    await drafting.desk.run_sql(live, "update conversation set is_bot_held = true")
    await drafting.proposals.approve(tenants[0], (await drafting.waiting(live)).id, actor=EVA)
    assert await drafting.work(live) == ["an answer"]


async def test_approved_parts_behind_a_hint_wait_for_more(
    drafting: Drafting, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await _live(drafting, tenants[0], "shaping")
    lines = "\n".join(f"line {number}" for number in range(5))
    await drafting.propose(live, DraftReply(lines, more="Reply MORE."))
    await drafting.proposals.approve(tenants[0], (await drafting.waiting(live)).id, actor=EVA)
    states = await drafting.desk.states(live, "outbox_reply")
    assert states == ["pending", "pending", "held", "held", "held"]


async def test_a_proposal_is_no_trouble_and_holds_up_nobody(
    drafting: Drafting, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await _live(drafting, tenants[0])
    await drafting.propose(live, DraftReply("an answer"))
    assert (await drafting.desk.row(live))["state"] == "idle"
    await drafting.desk.receive(live, "more")
    assert (await drafting.desk.begin(live)).events[0].text == "more"


async def test_another_tenant_finds_no_proposal(
    drafting: Drafting, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await _live(drafting, tenants[0])
    turn = await drafting.propose(live, DraftReply("an answer"))
    other, proposal_id = tenants[1], ProposalId(turn.id)
    assert await drafting.proposals.list(other) == []
    with pytest.raises(ProposalNotFound):
        await drafting.proposals.approve(other, proposal_id, actor=EVA)
    with pytest.raises(ProposalNotFound):
        await drafting.proposals.approve(other, proposal_id, actor=EVA, text="mine")
    with pytest.raises(ProposalNotFound):
        await drafting.proposals.drop(other, proposal_id, actor=EVA)
    await drafting.proposals.expire(other, proposal_id)
    assert await drafting.decision(live) is None

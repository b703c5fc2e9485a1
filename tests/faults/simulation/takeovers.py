"""The doubles of the repositories of takeovers and proposals, as far as the core calls them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, TurnId
from coachline.messaging.repository import ProposalRepository
from coachline.messaging.tables import ProposalRow
from coachline.messaging.turns import ProposalTerms
from faults.simulation.sessions import columns, memory
from faults.simulation.store import Transaction, Values


class MemoryProposals(ProposalRepository):
    """Answers that wait for a coach."""

    async def add(
        self,
        session: TenantSession,
        turn_id: TurnId,
        conversation_id: ConversationId,
        terms: ProposalTerms,
    ) -> None:
        def add(transaction: Transaction) -> None:
            wait = None if terms.seconds is None else timedelta(seconds=terms.seconds)
            proposal: Values = {
                **columns(ProposalRow),
                "tenant_id": session.tenant_id,
                "id": turn_id,
                "conversation_id": conversation_id,
                "reason": terms.reason,
                "decide_by": None if wait is None else transaction.now + wait,
                "on_expiry": terms.on_expiry,
            }
            transaction.insert("proposal", proposal)

        await memory(session).run(add)

    async def decide(
        self, session: TenantSession, proposals: Collection[UUID], decision: str, *, by: str
    ) -> None:
        def decide(transaction: Transaction) -> None:
            for proposal_id in proposals:
                row = transaction.get("proposal", proposal_id)
                if row is not None and row["decision"] is None:
                    transaction.update(
                        "proposal",
                        proposal_id,
                        decision=decision,
                        decided_by=by,
                        decided_at=transaction.now,
                    )

        await memory(session).run(decide)

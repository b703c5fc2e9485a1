"""Replies that were settled unsent: found without reading the others, and dropped by a person.

Revision ID: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BEFORE = "'pending', 'sending', 'sent', 'unknown', 'dead', 'held', 'suppressed'"


def upgrade() -> None:
    """Add the state `dropped`, and the index of what waits for a decision."""
    _allow(f"{_BEFORE}, 'dropped'")
    # Outside a transaction: neither holds up who writes replies meanwhile. What is left of a run
    # that was cut off here is taken away by the next one.
    with op.get_context().autocommit_block():
        op.execute("alter table outbox_reply validate constraint outbox_reply_state_check")
        op.execute("drop index concurrently if exists outbox_reply_in_trouble")
        # Named by what they are not, so that a further way to end unsent is in it by itself.
        op.execute(
            "create index concurrently outbox_reply_in_trouble on outbox_reply (tenant_id, id) "
            "where state not in ('pending', 'sending', 'sent', 'held', 'dropped')"
        )


def _allow(states: str) -> None:
    op.execute(
        f"""
        alter table outbox_reply
          drop constraint outbox_reply_state_check,
          add constraint outbox_reply_state_check check (state in ({states})) not valid
        """
    )


def downgrade() -> None:
    """Take them away; dropped replies become dead ones, which nothing sends either."""
    op.execute("drop index outbox_reply_in_trouble")
    # The owner is under the policy like everybody else, and would find no row to change.
    op.execute("alter table outbox_reply no force row level security")
    op.execute("update outbox_reply set state = 'dead' where state = 'dropped'")
    op.execute("alter table outbox_reply force row level security")
    _allow(_BEFORE)
    op.execute("alter table outbox_reply validate constraint outbox_reply_state_check")

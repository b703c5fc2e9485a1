"""What every tenant table gets: forced row-level security, the one policy, and its grants."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op
from sqlalchemy import text

APP = "coachline_app"
WORKER = "coachline_worker"


def protect(table: str, *, app: Sequence[str] = ("select", "insert", "update", "delete")) -> None:
    """Put ``table`` under the tenant policy and grant ``app`` rights to the app role."""
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(
        f"create policy tenant_isolation on {table} "
        "using (tenant_id = app_tenant()) with check (tenant_id = app_tenant())"
    )
    op.execute(f"grant {', '.join(app)} on {table} to {APP}")


def touch(table: str) -> None:
    """Keep ``updated_at`` by the database, whoever writes."""
    op.execute(
        f"create trigger touch before update on {table} "
        "for each row execute function touch_updated_at()"
    )


def stands(table: str) -> bool:
    """Whether a table is there: a run was cut off between its commit and its last statements.

    A script of SQL, for which nobody can be asked, begins with nothing.
    """
    if op.get_context().as_sql:
        return False
    known = text("select to_regclass(:name) is not null")
    return bool(op.get_bind().scalar(known, {"name": table}))

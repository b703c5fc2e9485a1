"""Migrations that a running gateway would have to wait for do not pass."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType

import pytest
from alembic import op
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

pytestmark = pytest.mark.architecture

_VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"
# Those before it make tables that nobody has rows in yet.
_FIRST = "0007"
_SQUAWK = Path(sys.executable).with_name("squawk")

# Rules of squawk that are kept elsewhere, or mean something else here.
_LEFT_OUT = MappingProxyType(
    {
        "require-lock-timeout": "migrations/env.py sets it",
        "require-statement-timeout": "an index that is built concurrently may take its time",
        "prefer-robust-stmts": "a migration is one transaction and leaves nothing half done",
        "transaction-nesting": "Alembic's own COMMIT before what runs outside a transaction",
        "ban-uncommitted-transaction": "Alembic's own BEGIN behind it",
        "ban-drop-constraint": "tests/faults/nightly/migrations.py runs the older code on it",
    }
)


def _render(migrate: Callable[[], None]) -> str:
    """The SQL of a migration, as it would be executed."""
    written = io.StringIO()
    given = {"as_sql": True, "output_buffer": written}
    with Operations.context(MigrationContext.configure(dialect_name="postgresql", opts=given)):
        migrate()
    return written.getvalue()


def _squawk(sql: str) -> str:
    """What squawk says against it; empty when nothing."""
    rules = [f"--exclude={rule}" for rule in _LEFT_OUT]
    found = subprocess.run(  # noqa: S603 - a linter of ours on our own SQL
        [_SQUAWK, "--pg-version=15", "--assume-in-transaction", *rules],
        input=sql,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout if found.returncode else ""


def _upgrade_of(path: Path) -> Callable[[], None]:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    upgrade: Callable[[], None] = module.upgrade
    return upgrade


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(_VERSIONS.glob("0*.py")) if path.name >= _FIRST],
    ids=lambda path: path.stem,
)
def test_no_migration_makes_a_running_gateway_wait(path: Path) -> None:
    sql = _render(_upgrade_of(path))
    assert sql.strip()
    assert not _squawk(sql)


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("create index slow on outbox_reply (state)", "require-concurrent-index-creation"),
        (
            "alter table outbox_reply add constraint c check (part > 0)",
            "constraint-missing-not-valid",
        ),
        ("alter table outbox_reply alter column part set not null", "adding-not-nullable-field"),
        ("alter table outbox_reply rename column part to piece", "renaming-column"),
        ("alter table outbox_reply drop column part", "ban-drop-column"),
    ],
)
def test_what_would_make_it_wait_or_fail_is_found(statement: str, rule: str) -> None:
    assert rule in _squawk(_render(lambda: op.execute(statement)))

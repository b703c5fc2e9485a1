"""`coachline tenant` and `coachline key`: what an operator types, and what a script reads."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import pytest
from typer.testing import CliRunner

from coachline.cli import app
from coachline.foundation import logs
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.tenancy import KeyRefused, Keys, Tenants, TenantSuspended
from fixtures.time import FakeClock


class HasUrls(Protocol):
    """What this file needs of the run's servers."""

    app_url: str
    worker_url: str
    redis_url: str


class Operator:
    """Types commands; each runs as it would in a process of its own."""

    async def run(self, *words: str) -> tuple[int, str]:
        """Exit code and output. In a thread, since a command brings its own event loop."""
        result = await asyncio.to_thread(CliRunner().invoke, app, list(words))
        return result.exit_code, result.output

    async def read(self, *words: str) -> Any:
        """The JSON that a command writes."""
        code, output = await self.run(*words, "--json")
        assert code == 0, output
        return json.loads(output)


@pytest.fixture
def operator(servers: HasUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Operator:
    """An operator of the run's servers."""
    for name, value in {
        "HOME": str(tmp_path),
        "DATABASE_URL": servers.app_url,
        "WORKER_DATABASE_URL": servers.worker_url,
        "REDIS_URL": servers.redis_url,
        "MASTER_KEYS": "test:" + base64.b64encode(bytes(32)).decode(),
        "OLLAMA_URL": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(f"COACHLINE_{name}", value)
    # The runner's output ends with the command; logs of later tests must not go there.
    monkeypatch.setattr(logs, "configure_logs", lambda *_: None)
    return Operator()


@pytest.fixture
def name() -> str:
    """A name nobody has taken."""
    return f"t-{new_id()}"


async def test_a_created_tenants_key_works_and_a_second_of_the_name_is_refused(
    operator: Operator, keys: Keys, name: str
) -> None:
    made = await operator.read("tenant", "create", name, "--language", "de-AT")
    assert made.keys() == {"tenant_id", "name", "api_key"}
    principal = await keys.authenticate(made["api_key"])
    assert (str(principal.tenant_id), made["name"]) == (made["tenant_id"], name)
    code, output = await operator.run("tenant", "create", name)
    assert code == 1
    assert name in output
    assert "Traceback" not in output


async def test_tenants_are_listed_suspended_and_activated(
    operator: Operator, keys: Keys, clock: FakeClock, name: str
) -> None:
    made = await operator.read("tenant", "create", name)
    await keys.authenticate(made["api_key"])
    assert (await operator.read("tenant", "suspend", name))["status"] == "suspended"
    clock.advance(5)
    with pytest.raises(TenantSuspended):
        await keys.authenticate(made["api_key"])
    listed = {row["name"]: row["status"] for row in await operator.read("tenant", "list")}
    assert listed[name] == "suspended"
    assert (await operator.read("tenant", "activate", name))["status"] == "active"
    await keys.authenticate(made["api_key"])


async def test_a_tenant_is_configured_and_set_back_to_the_defaults(
    operator: Operator, service: Tenants, name: str
) -> None:
    made = await operator.read("tenant", "create", name)
    models = ("--chat-model", "m:1", "--fallback-model", "m:2", "--fallback-model", "m:3")
    changed = await operator.read("tenant", "configure", name, *models, "--max-turns", "3")
    assert (changed["chat_model"], changed["fallback_models"]) == ("m:1", ["m:2", "m:3"])
    assert changed["max_turns"] == 3
    defaults = ("--chat-model", "", "--fallback-model", "", "--max-turns", "0")
    await operator.read("tenant", "configure", name, *defaults, "--persona", "Kind.")
    profile = await service.profile(TenantId(made["tenant_id"]))
    assert (profile.chat_model, profile.fallback_models, profile.max_turns) == (None, (), None)
    assert profile.persona == "Kind."


async def test_hosts_script_and_scores_are_set_and_set_back(operator: Operator, name: str) -> None:
    await operator.read("tenant", "create", name)
    hosts = ("--allowed-host", "docs.example.org", "--allowed-host", "coach.example")
    words = (*hosts, "--crisis-script", "Call 0800 111.", "--crisis-score", "0.7")
    changed = await operator.read("tenant", "safety", name, *words)
    assert changed["allowed_hosts"] == ["docs.example.org", "coach.example"]
    assert (changed["crisis_script"], changed["safety_crisis_score"]) == ("Call 0800 111.", 0.7)
    back = ("--allowed-host", "", "--crisis-script", "", "--crisis-score", "0")
    changed = await operator.read("tenant", "safety", name, *back)
    assert (changed["allowed_hosts"], changed["crisis_script"]) == ([], None)
    assert changed["safety_crisis_score"] is None
    code, output = await operator.run("tenant", "safety", name, "--allowed-host", "http://x.y/")
    assert (code, "docs.example.org" in output) == (1, True)


async def test_a_text_is_tried_and_reviews_are_listed(operator: Operator, name: str) -> None:
    await operator.read("tenant", "create", name)
    tried = await operator.read("safety", "try", "Ich will mich umbringen", "--language", "de")
    assert (tried["kind"], tried["reasons"]) == ("crisis", ["suicide"])
    outgoing = ("--direction", "outgoing", "--tenant", name)
    tried = await operator.read("safety", "try", "Take 400 mg of it every day.", *outgoing)
    assert (tried["kind"], tried["reasons"]) == ("crisis", ["medication"])
    assert (await operator.run("safety", "try", " "))[0] == 2
    assert await operator.read("safety", "list", "--tenant", name) == []
    nothing = ("safety", "decide", str(new_id()), "approved", "--tenant", name)
    code, output = await operator.run(*nothing)
    assert code == 1
    assert "no such safety review" in output


async def test_keys_are_created_listed_and_revoked(
    operator: Operator, database: Database, clock: FakeClock, name: str
) -> None:
    await operator.read("tenant", "create", name)
    words = ("--tenant", name, "--scope", "read", "--scope", "knowledge")
    made = await operator.read("key", "create", "ci", *words, "--expires-in-days", "30")
    assert (await Keys(database, clock).authenticate(made["api_key"])).scopes == frozenset(
        {"read", "knowledge"}
    )
    listed = await operator.read("key", "list", "--tenant", name)
    assert [row["name"] for row in listed] == ["ci", "first key"]
    assert made["api_key"] not in json.dumps(listed)
    await operator.read("key", "revoke", made["key_id"], "--tenant", name)
    with pytest.raises(KeyRefused):
        await Keys(database, clock).authenticate(made["api_key"])


async def test_the_audit_log_is_checked_and_a_forgery_ends_with_code_one(
    operator: Operator, owner_url: str, name: str
) -> None:
    made = await operator.read("tenant", "create", name)
    found = await operator.read("tenant", "audit", name)
    assert (found["entries"], found["problem"]) == (2, None)
    owner = await asyncpg.connect(owner_url)
    try:
        async with owner.transaction():
            await owner.execute("select set_config('app.tenant_id', $1, true)", made["tenant_id"])
            await owner.execute("update audit_entry set actor = 'nobody' where seq = 2")
    finally:
        await owner.close()
    code, output = await operator.run("tenant", "audit", name)
    assert code == 1
    assert "Entry 2 was edited" in output


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("tenant", "create", "Not A Name"), 1, "acme-coaching"),
        (("tenant", "suspend", "nobody-of-this-name"), 1, "nobody-of-this-name"),
        (
            ("key", "create", "ci", "--tenant", "nobody-of-this-name", "--scope", "read"),
            1,
            "nobody",
        ),
        (("key", "revoke", "not-an-id", "--tenant", "x"), 2, "UUID"),
        (("key", "create", "ci"), 2, "--tenant"),
        (("tenant", "create"), 2, "Usage: "),
    ],
)
async def test_a_wrong_command_says_what_is_wrong(
    operator: Operator, words: tuple[str, ...], code: int, message: str
) -> None:
    exit_code, output = await operator.run(*words)
    assert (exit_code, "Traceback" in output) == (code, False)
    assert message in output

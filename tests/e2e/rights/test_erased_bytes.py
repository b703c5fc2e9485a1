"""After an erasure no byte is left: of a learner in what was rewritten, of a tenant anywhere."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from coachline.foundation.ids import new_id
from e2e.rights.conftest import Ground, Residues
from fixtures.gateway import Connected
from fixtures.tenant_state import read_state
from fixtures.waiting import until

pytestmark = pytest.mark.e2e

NOTHING = {"keys": 0, "vectors": 0, "tables": 0}


async def settle(ground: Ground, word: str) -> tuple[Connected, str]:
    """A tenant with a document, and somebody who said something; the words are nowhere else."""
    house, canary = ground.house, f"{word}{new_id().hex}"
    to = await house.connect(word)
    body = {"source": "a.md", "text": f"# Sleep\n\nThe {canary} sleeps eight hours."}
    headers = {"Authorization": f"Bearer {to.api_key}"}
    async with house.http.post(
        f"{house.url}/api/v1/documents", json=body, headers=headers
    ) as answer:
        saved = await answer.json()

    async def is_known() -> bool:
        status, found = await house.get(to, f"/api/v1/documents/{saved['id']}")
        return status == 200 and found["state"] == "ready"

    await until(is_known, seconds=30)
    await house.post(to, "m1", f"I am {canary} and I sleep")
    await house.wait_replies(to, 1)
    return to, canary


async def call(ground: Ground, to: Connected, method: str, path: str) -> tuple[int, Any]:
    """Status and JSON of one call as the tenant's admin."""
    headers = {"Authorization": f"Bearer {to.api_key}"}
    async with ground.house.http.request(
        method, ground.house.url + path, headers=headers
    ) as answer:
        return answer.status, await answer.json()


def without_wal(found: Residues) -> dict[str, int]:
    """What stands outside of PostgreSQL's log of writes."""
    return {"keys": found.keys, "vectors": found.vectors, "tables": found.tables}


async def test_a_tenant_is_erased_to_the_last_byte_and_the_other_stays_as_it_is(
    ground: Ground, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    (gone, canary), (kept, other) = await settle(ground, "gone"), await settle(ground, "kept")
    house = ground.house
    words = (canary, gone.tenant_id, gone.tenant)
    before = await ground.scan(*words)
    assert min(before.tables, before.wal, before.keys, before.vectors) > 0, "the search finds it"
    stays = await read_state(house.services.database, kept.tenant_id)

    proof = await house.ask("tenant", "erase", gone.tenant, "--yes", gone.tenant, "--full")
    assert proof["tenant_id"] == gone.tenant_id
    assert proof["tables"]["inbox_event"] == 1
    assert proof["tables"]["tenant"] == 1
    assert proof["files"]["is_written_anew"] is True
    assert proof["caches"]["is_reachable"] is True
    assert (proof["vectors"]["collections"], proof["vectors"]["hits"]) == (1, 0)
    after = await ground.scan(canary, gone.tenant)
    assert without_wal(after) == NOTHING
    # Its id is what is left: of the proof and of the job that looks once more.
    ids = await ground.scan(gone.tenant_id)
    assert (ids.keys, ids.vectors) == (0, 0)
    assert canary not in (logged := "".join(capsys.readouterr()) + caplog.text)
    assert "tenant.purged" in logged

    assert await read_state(house.services.database, kept.tenant_id) == stays
    assert (await ground.scan(other)).tables > 0
    assert (await house.get(kept, "/api/v1/learners"))[0] == 200
    assert (await house.get(gone, "/api/v1/learners"))[0] == 401
    await house.post(kept, "m2", "Still there?")
    await house.wait_replies(kept, 2)
    code, _, said = await house.call("tenant", "erase", gone.tenant, "--yes", gone.tenant)
    assert (code, "no tenant named" in said) == (1, True)


async def test_the_log_of_writes_is_free_of_it_when_it_has_gone_round(ground: Ground) -> None:
    gone, canary = await settle(ground, "gone")
    await ground.house.ask("tenant", "erase", gone.tenant, "--yes", gone.tenant, "--full")
    await ground.ask_database("create table filler (x text)")
    for _ in range(40):
        if (await ground.scan(canary)).wal == 0:
            break
        await ground.ask_database(
            "insert into filler select md5(n::text) from generate_series(1, 20000) n",
            "select pg_switch_wal()",
        )
    assert (await ground.scan(canary)).wal == 0


async def test_a_learner_is_erased_by_rest_and_by_command_and_others_keep_every_word(
    ground: Ground, tmp_path: Path
) -> None:
    (to, _), (foreign, _) = await settle(ground, "mine"), await settle(ground, "theirs")
    house, canaries = ground.house, [f"canary{new_id().hex}" for _ in range(3)]
    for number, canary in enumerate(canaries):
        await house.post(to, f"c{number}", f"I am {canary}", sender=canary)
    await house.wait_replies(to, 4)
    rows = await house.ask("learner", "list", "--tenant", to.tenant)
    assert len(rows) == 4
    who: dict[str, str] = {}
    for row in rows:
        _, found = await call(ground, to, "GET", f"/api/v1/learners/{row['learner_id']}/data")
        who |= {canary: row["learner_id"] for canary in canaries if canary in json.dumps(found)}
    by_rest, by_command, stays = (who[canary] for canary in canaries)

    file = tmp_path / "data.json"
    told = await house.ask(
        "learner", "export", by_command, "--tenant", to.tenant, "--to", str(file)
    )
    shown = await house.ask("learner", "show", by_command, "--tenant", to.tenant)
    assert told["rows"] == shown["rows"]
    assert canaries[1] in await asyncio.to_thread(file.read_text)

    assert (await call(ground, foreign, "POST", f"/api/v1/learners/{by_rest}/erasure"))[0] == 404
    status, asked = await call(ground, to, "POST", f"/api/v1/learners/{by_rest}/erasure")
    assert (status, asked["state"]) == (202, "asked")
    path = f"/api/v1/erasures/{asked['id']}"

    async def is_erased() -> bool:
        _, found = await call(ground, to, "GET", path)
        return bool(found["state"] == "erased" and found["report"]["vectors"])

    await until(is_erased, seconds=30)
    assert (await call(ground, foreign, "GET", path))[0] == 404
    proof = await house.ask("learner", "erase", by_command, "--tenant", to.tenant, "--yes")
    assert (proof["state"], proof["asked_by"]) == ("erased", "cli")
    assert proof["report"]["vectors"]["hits"] == 0
    assert (await house.ask("compact"))["tables"] > 10
    found = await ground.scan(canaries[0], canaries[1])
    assert without_wal(found) == NOTHING
    assert (await ground.scan(canaries[2])).tables > 0
    _, data = await call(ground, to, "GET", f"/api/v1/learners/{stays}/data")
    assert canaries[2] in json.dumps(data)
    listed = await house.ask("learner", "erasures", "export", str(tmp_path / "list.json"))
    assert (listed["learners"], listed["tenants"]) == (2, 0)

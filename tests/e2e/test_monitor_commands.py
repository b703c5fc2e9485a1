"""Endpoints, deliveries and the feed from the command line, beside a gateway that runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fixtures.gateway import Connected
from fixtures.house import House
from fixtures.waiting import until
from integration.monitoring.scene import Receiver

pytestmark = pytest.mark.e2e

SECONDS = 60.0


async def wait_told(house: House, to: Connected, kind: str) -> dict[str, Any]:
    """The tenant's newest delivery of a type, once it is settled."""
    found: list[dict[str, Any]] = []

    async def is_told() -> bool:
        rows = await house.ask("delivery", "list", "--tenant", to.tenant)
        found[:] = [row for row in rows if row["type"] == kind and row["state"] != "pending"]
        return bool(found)

    await until(is_told, seconds=SECONDS)
    return found[0]


async def test_an_operator_has_an_address_told_and_other_tenants_do_not_know_it(
    house: House,
) -> None:
    to, other = await house.connect("left"), await house.connect("right")
    tenant = ("--tenant", to.tenant)
    async with Receiver() as receiver:
        made = await house.ask(
            "endpoint", "add", receiver.url, "--type", "message.received", *tenant
        )
        here = made["id"]
        assert made["verify_with"].startswith("whsec_")
        code, _, complaint = await house.call("endpoint", "add", "no address", *tenant)
        assert (code, "must be absolute" in complaint) == (1, True)
        code, _, complaint = await house.call("endpoint", "test", here, "--tenant", other.tenant)
        assert (code, "There is no such endpoint." in complaint) == (1, True)

        sent = await house.ask("endpoint", "test", here, *tenant)
        tested = await wait_told(house, to, "endpoint.test")
        assert (tested["id"], tested["state"]) == (sent["delivery_id"], "sent")


async def test_an_operator_sees_what_became_of_what_was_told_and_has_it_told_again(
    house: House,
) -> None:
    to, other = await house.connect("left"), await house.connect("right")
    tenant = ("--tenant", to.tenant)
    async with Receiver() as receiver:
        receiver.statuses = [410]
        made = await house.ask(
            "endpoint", "add", receiver.url, "--type", "message.received", *tenant
        )
        here = made["id"]
        await house.post(to, "m1", "What a secret")
        await house.wait_replies(to, 1, seconds=SECONDS)
        failed = await wait_told(house, to, "message.received")
        explained = await house.ask("delivery", "show", failed["id"], *tenant)
        assert [one["status"] for one in explained["tries"]] == [410]
        assert explained["body"]["data"]["text"] == "What a secret"
        (gone,) = await house.ask("endpoint", "list", *tenant)
        assert (gone["state"], gone["reason"]) == ("disabled", "gone")

        await house.ask("endpoint", "enable", here, *tenant)
        rotated = await house.ask("endpoint", "rotate", here, *tenant)
        assert rotated["verify_with"] != made["verify_with"]
        code, _, complaint = await house.call("delivery", "resend", *tenant)
        assert (code, "Name one delivery" in complaint) == (2, True)
        again = await house.ask(
            "delivery", "resend", "--endpoint", here, "--since", "2020-01-01", *tenant
        )
        assert again == {"events": 1}
        await until(lambda: receiver.types.count("message.received") == 2, seconds=SECONDS)
        assert receiver.ids[-1] == receiver.ids[-2]
        await house.ask("endpoint", "remove", here, *tenant)
    assert await house.ask("endpoint", "list", *tenant) == []

    told = await house.ask("feed", "--type", "message.received", *tenant)
    assert [event["type"] for event in told] == ["message.received"]
    assert "What a secret" not in json.dumps(await house.ask("feed", *tenant))
    assert await house.ask("feed", "--type", "endpoint.disabled", "--tenant", other.tenant) == []

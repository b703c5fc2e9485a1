"""A connection that fetches its messages is listened to by the worker, and answered."""

from __future__ import annotations

import secrets

import pytest

from coachline.foundation.ids import new_id
from coachline_lab.telegram import FakeTelegram
from fixtures.house import Ground, open_house
from fixtures.waiting import until

pytestmark = pytest.mark.e2e


async def test_a_polled_bot_answers_and_is_let_go_when_the_worker_ends(ground: Ground) -> None:
    async with FakeTelegram() as telegram:
        bot = telegram.add_bot(f"{secrets.randbelow(10**12) + 10**6}:{secrets.token_urlsafe(24)}")
        async with open_house(ground) as house:
            made = await house.services.tenants.create(f"polled-{new_id()}")
            connection = await house.services.connections.add(
                made.tenant_id,
                "telegram",
                "bot",
                {"token": bot.token, "receive": "polling", "api_url": telegram.url},
                actor="test",
            )
            ann = telegram.add_user("Ann")
            answer = await telegram.ask("Hello", user=ann, bot=bot, seconds=30)
            assert answer.text

            async def is_hearing() -> bool:
                found = await house.services.connections.get(made.tenant_id, connection.id)
                return found.health == "hearing"

            await until(is_hearing)
            metrics = house.services.metrics.render()[0].decode()
        assert 'coachline_connections_listening{channel="telegram",health="hearing"} 1.0' in metrics

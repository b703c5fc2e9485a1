"""What somebody writes on Telegram is answered where they wrote it."""

from __future__ import annotations

import pytest

from coachline_lab.telegram import FakeTelegram
from fixtures.lab_house import SECONDS, LabHouse

pytestmark = pytest.mark.e2e


async def test_a_question_is_answered(lab: LabHouse, telegram: FakeTelegram) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant("acme"), telegram)
    answer = await telegram.ask("How do I begin?", user=7, bot=coach.account, seconds=SECONDS)
    assert answer.text == "re: How do I begin?"

"""What one person in a group asked unseen is answered unseen."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import aiohttp

from channel_kit import Reply
from channel_kit.conformance import Answer, Call, ScriptedPlatform
from channel_telegram import TelegramChannel, TelegramConfig

TOKEN = "7345678901:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"
THREAD = "-1002233445566~5010203040"
# The shape of a sent ephemeral message: its message_id is 0 like every other's.
SENT = {"ok": True, "result": {"message_id": 0, "ephemeral_message_id": 17}}


def form(call: Call) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(call.body.decode()).items()}


DONE = {"ok": True, "result": True}


@asynccontextmanager
async def answering(result: object) -> AsyncIterator[tuple[ScriptedPlatform, TelegramChannel]]:
    answer = Answer(200, {}, json.dumps(result).encode())
    async with ScriptedPlatform(answer=answer) as platform, aiohttp.ClientSession() as http:
        config = TelegramConfig.model_validate({"token": TOKEN, "api_url": platform.url})
        yield platform, TelegramChannel(config, http)


async def test_the_answer_is_for_one_person_from_the_placeholder_to_its_end() -> None:
    reply = Reply(id="1", thread=THREAD, text="**Yes**", in_reply_to=("e:-1002233445566:16",))
    async with answering(SENT) as (first, channel):
        handle = await channel.reserve(reply)
    async with answering(DONE) as (then, channel):
        receipt = await channel.fill(handle, reply)
        await channel.discard(handle, THREAD)
    calls = [*first.calls, *then.calls]
    assert receipt.external_id == "e:-1002233445566:17"
    methods = [call.path.rpartition("/")[2] for call in calls]
    assert methods == ["sendMessage", "editEphemeralMessageText", "deleteEphemeralMessage"]
    sent, filled, deleted = map(form, calls)
    assert json.loads(sent["ephemeral_message_parameters"])["receiver_user_id"] == 5010203040
    assert "reply_parameters" not in sent
    for call in (filled, deleted):
        assert (call["receiver_user_id"], call["ephemeral_message_id"]) == ("5010203040", "17")
    assert filled["text"] == "Yes"

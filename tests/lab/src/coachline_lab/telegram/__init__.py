"""A Telegram on the loopback: the Bot API, its webhooks and polls, and learners that use it."""

from coachline_lab.telegram.platform import FakeTelegram
from coachline_lab.telegram.refusals import Refusal
from coachline_lab.telegram.stage import Said
from coachline_lab.telegram.updates import Attempt
from coachline_lab.telegram.world import Bot, Chat, Person

__all__ = ["Attempt", "Bot", "Chat", "FakeTelegram", "Person", "Refusal", "Said"]

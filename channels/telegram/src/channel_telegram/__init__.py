"""Telegram bots as a Coachline channel: webhook and long polling, drafts, buttons, files."""

from channel_telegram.channel import TelegramChannel
from channel_telegram.config import TelegramConfig

__all__ = ["TelegramChannel", "TelegramConfig"]

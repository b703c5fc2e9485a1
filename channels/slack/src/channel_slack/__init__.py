"""Slack apps as a Coachline channel: events or Socket Mode in, blocks and streams out."""

from channel_slack.channel import SlackChannel
from channel_slack.config import SlackConfig
from channel_slack.manifest import manifest

__all__ = ["SlackChannel", "SlackConfig", "manifest"]

"""A plain webhook as a channel: Standard Webhooks in, Standard Webhooks out."""

from channel_webhook.channel import WebhookChannel
from channel_webhook.config import WebhookConfig

__all__ = ["WebhookChannel", "WebhookConfig"]

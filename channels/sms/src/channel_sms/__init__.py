"""SMS, MMS and WhatsApp by Twilio as a channel."""

from channel_sms.channel import SmsChannel
from channel_sms.config import SmsConfig

__all__ = ["SmsChannel", "SmsConfig"]

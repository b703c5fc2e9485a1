"""Twilio on the loopback."""

from coachline_lab.twilio.platform import NUMBER, PERSON, FakeTwilio
from coachline_lab.twilio.records import Account, Delivery, File, Message, Service

__all__ = [
    "NUMBER",
    "PERSON",
    "Account",
    "Delivery",
    "FakeTwilio",
    "File",
    "Message",
    "Service",
]

"""Telegram, Slack and Twilio on the loopback, for tests and for people."""

from coachline_lab.delivery import InboundFaults
from coachline_lab.faults import Fault, Faults, Mode
from coachline_lab.ledger import Ledger, asked_in
from coachline_lab.records import Accepted, Call
from coachline_lab.slack import FakeSlack
from coachline_lab.telegram import FakeTelegram
from coachline_lab.verdict import Asked, Verdict

__all__ = [
    "Accepted",
    "Asked",
    "Call",
    "FakeSlack",
    "FakeTelegram",
    "Fault",
    "Faults",
    "InboundFaults",
    "Ledger",
    "Mode",
    "Verdict",
    "asked_in",
]

"""A page on which a person writes as a learner on every platform of the lab."""

from coachline_lab.page.seats import Line, Seat
from coachline_lab.page.server import LabPage
from coachline_lab.page.slack_seat import SlackSeat
from coachline_lab.page.telegram_seat import TelegramSeat
from coachline_lab.page.twilio_seat import TwilioSeat

__all__ = ["LabPage", "Line", "Seat", "SlackSeat", "TelegramSeat", "TwilioSeat"]

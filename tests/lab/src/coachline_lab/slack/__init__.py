"""A Slack on the loopback: Web API, events, sockets, OAuth, and people that use it."""

from coachline_lab.slack.events import Attempt, signature_headers
from coachline_lab.slack.platform import FakeSlack
from coachline_lab.slack.refusals import Refusal
from coachline_lab.slack.stage import Said
from coachline_lab.slack.world import App, Channel, Installation, Team, User

__all__ = [
    "App",
    "Attempt",
    "Channel",
    "FakeSlack",
    "Installation",
    "Refusal",
    "Said",
    "Team",
    "User",
    "signature_headers",
]

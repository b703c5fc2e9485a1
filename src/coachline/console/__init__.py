"""The console: the pages of a tenant's people, who they are, and where they are signed in."""

from coachline.console.cards import Card, Cards
from coachline.console.channel_pages import ChannelDesk
from coachline.console.entrance import Away, Entered, Entrance
from coachline.console.errors import (
    ForeignForm,
    ProviderUnavailable,
    SignedOut,
    SignInInvalid,
    SignInNotFound,
    SignInRefused,
)
from coachline.console.knowledge_pages import Shelf
from coachline.console.monitor_pages import MonitorDesk
from coachline.console.oidc import OpenId, Provider
from coachline.console.own_paths import own_origins, own_path
from coachline.console.pages import POLICY, Pages
from coachline.console.people import People
from coachline.console.people_pages import PeopleDesk
from coachline.console.providers import Providers, SignInSettings
from coachline.console.reasons import Explaining, Reasons
from coachline.console.safety_pages import SAFETY_FIELDS, ReviewDesk
from coachline.console.seat import Seat, role_of
from coachline.console.sessions import Holder, Sessions, SessionShown
from coachline.console.settings_pages import ProfileDesk
from coachline.console.talk import Line, Talk, Talks
from coachline.console.tickets import Departure, Tickets

__all__ = [
    "POLICY",
    "SAFETY_FIELDS",
    "Away",
    "Card",
    "Cards",
    "ChannelDesk",
    "Departure",
    "Entered",
    "Entrance",
    "Explaining",
    "ForeignForm",
    "Holder",
    "Line",
    "MonitorDesk",
    "OpenId",
    "Pages",
    "People",
    "PeopleDesk",
    "ProfileDesk",
    "Provider",
    "ProviderUnavailable",
    "Providers",
    "Reasons",
    "ReviewDesk",
    "Seat",
    "SessionShown",
    "Sessions",
    "Shelf",
    "SignInInvalid",
    "SignInNotFound",
    "SignInRefused",
    "SignInSettings",
    "SignedOut",
    "Talk",
    "Talks",
    "Tickets",
    "own_origins",
    "own_path",
    "role_of",
]

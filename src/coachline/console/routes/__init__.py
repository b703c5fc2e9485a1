"""The pages of the console."""

from coachline.console.routes.account import AccountRoutes
from coachline.console.routes.assets import AssetRoutes
from coachline.console.routes.canned import CannedPages
from coachline.console.routes.channels import ChannelPages
from coachline.console.routes.conversation import ConversationPages
from coachline.console.routes.deliveries import DeliveryPages
from coachline.console.routes.desk import Desk, SeatCheck, Seated
from coachline.console.routes.inbox import InboxRoutes
from coachline.console.routes.knowledge import KnowledgePages
from coachline.console.routes.learners import LearnerPages
from coachline.console.routes.live import LiveRoutes
from coachline.console.routes.monitors import MonitorPages
from coachline.console.routes.overview import OverviewRoutes
from coachline.console.routes.people import PeoplePages
from coachline.console.routes.provider import ProviderRoutes
from coachline.console.routes.safety import SafetyPages
from coachline.console.routes.settings import SettingsPages
from coachline.console.routes.sign_in import SignInRoutes
from coachline.console.routes.stepping_in import SteppingIn

__all__ = [
    "AccountRoutes",
    "AssetRoutes",
    "CannedPages",
    "ChannelPages",
    "ConversationPages",
    "DeliveryPages",
    "Desk",
    "InboxRoutes",
    "KnowledgePages",
    "LearnerPages",
    "LiveRoutes",
    "MonitorPages",
    "OverviewRoutes",
    "PeoplePages",
    "ProviderRoutes",
    "SafetyPages",
    "SeatCheck",
    "Seated",
    "SettingsPages",
    "SignInRoutes",
    "SteppingIn",
]

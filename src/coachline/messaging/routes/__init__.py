"""All HTTP of messaging, one class per concern. Imported by the doors only."""

from coachline.messaging.routes.coaches import CoachRoutes
from coachline.messaging.routes.connections import ConnectionRoutes
from coachline.messaging.routes.installs import InstallRoutes
from coachline.messaging.routes.proposals import ProposalRoutes
from coachline.messaging.routes.replies import ReplyRoutes
from coachline.messaging.routes.webhooks import WebhookRoutes

__all__ = [
    "CoachRoutes",
    "ConnectionRoutes",
    "InstallRoutes",
    "ProposalRoutes",
    "ReplyRoutes",
    "WebhookRoutes",
]

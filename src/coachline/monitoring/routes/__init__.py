"""REST of the room. Imported by the doors only."""

from coachline.monitoring.routes.deliveries import DeliveryRoutes
from coachline.monitoring.routes.endpoints import EndpointRoutes
from coachline.monitoring.routes.feed import FeedRoutes
from coachline.monitoring.routes.usage import UsageRoutes

__all__ = [
    "DeliveryRoutes",
    "EndpointRoutes",
    "FeedRoutes",
    "UsageRoutes",
]

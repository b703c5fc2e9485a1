"""All SQL of monitoring, one class per concern. Imported by this room only."""

from coachline.monitoring.repository.deliveries import DeliveryRepository
from coachline.monitoring.repository.endpoints import EndpointRepository
from coachline.monitoring.repository.feed import FeedRepository
from coachline.monitoring.repository.usage import UsageRepository

__all__ = [
    "DeliveryRepository",
    "EndpointRepository",
    "FeedRepository",
    "UsageRepository",
]

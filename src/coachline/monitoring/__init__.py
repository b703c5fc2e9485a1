"""Monitoring: the feed of what happened in a tenant, who is told of it, and what it adds up to."""

from coachline.monitoring.asyncapi import render_asyncapi
from coachline.monitoring.attempts import Attempts
from coachline.monitoring.bodies import Redaction
from coachline.monitoring.deliveries import (
    Deliveries,
    DeliveryExplained,
    DeliveryState,
    MadeAttempt,
    MonitorDelivery,
)
from coachline.monitoring.dispatch import Consumer, Dispatcher
from coachline.monitoring.endpoints import Endpoint, EndpointChanges, Endpoints, NewSecret
from coachline.monitoring.errors import (
    DeliveryNotFound,
    DeliveryPending,
    EndpointDisabled,
    EndpointInvalid,
    EndpointNotFound,
    EventTypeUnknown,
    TooManyEndpoints,
)
from coachline.monitoring.event_types import EVENT_TYPES, check_types
from coachline.monitoring.feed import Feed, FeedEvent
from coachline.monitoring.histogram import EMPTY, Histogram, bound_of
from coachline.monitoring.live import LiveFeed
from coachline.monitoring.planning import DELIVER_JOB, Planner
from coachline.monitoring.retention import Retention
from coachline.monitoring.rounds import Rounds
from coachline.monitoring.secrets import Signature
from coachline.monitoring.usage import DaysInvalid, Usage
from coachline.monitoring.usage_figures import Figures
from coachline.monitoring.usage_report import UsageDay, UsageReport

__all__ = [
    "DELIVER_JOB",
    "EMPTY",
    "EVENT_TYPES",
    "Attempts",
    "Consumer",
    "DaysInvalid",
    "Deliveries",
    "DeliveryExplained",
    "DeliveryNotFound",
    "DeliveryPending",
    "DeliveryState",
    "Dispatcher",
    "Endpoint",
    "EndpointChanges",
    "EndpointDisabled",
    "EndpointInvalid",
    "EndpointNotFound",
    "Endpoints",
    "EventTypeUnknown",
    "Feed",
    "FeedEvent",
    "Figures",
    "Histogram",
    "LiveFeed",
    "MadeAttempt",
    "MonitorDelivery",
    "NewSecret",
    "Planner",
    "Redaction",
    "Retention",
    "Rounds",
    "Signature",
    "TooManyEndpoints",
    "Usage",
    "UsageDay",
    "UsageReport",
    "bound_of",
    "check_types",
    "render_asyncapi",
]

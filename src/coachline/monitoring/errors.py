"""What can be wrong with an endpoint or a delivery."""

from __future__ import annotations

from coachline.foundation.errors import Conflict, InvalidInput, NotFound


class EndpointNotFound(NotFound):
    """The tenant has no such endpoint."""

    code = "endpoint_not_found"


class EndpointInvalid(InvalidInput):
    """An endpoint cannot be like this; the message says why."""

    code = "endpoint_invalid"


class TooManyEndpoints(Conflict):
    """The tenant has as many endpoints as it may have."""

    code = "too_many_endpoints"


class EndpointDisabled(Conflict):
    """The endpoint is told nothing; enable it first."""

    code = "endpoint_disabled"


class DeliveryNotFound(NotFound):
    """The tenant has no such delivery, or it is too old to be kept."""

    code = "delivery_not_found"


class DeliveryPending(Conflict):
    """The delivery is on its way already."""

    code = "delivery_pending"


class EventTypeUnknown(InvalidInput):
    """The feed has no events of this type."""

    code = "event_type_unknown"

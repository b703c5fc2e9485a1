"""All SQL of messaging, one class per concern. Imported by this room only."""

from coachline.messaging.repository.arrivals import Arrival, ArrivalRepository
from coachline.messaging.repository.connection_routes import ConnectionRouteRepository
from coachline.messaging.repository.connections import ConnectionRepository
from coachline.messaging.repository.conversations import ConversationRepository
from coachline.messaging.repository.erasures import ErasureRepository
from coachline.messaging.repository.inbox import InboxRepository
from coachline.messaging.repository.outbox import OutboxRepository
from coachline.messaging.repository.references import ReferenceRepository
from coachline.messaging.repository.transcripts import TranscriptRepository

__all__ = [
    "Arrival",
    "ArrivalRepository",
    "ConnectionRepository",
    "ConnectionRouteRepository",
    "ConversationRepository",
    "ErasureRepository",
    "InboxRepository",
    "OutboxRepository",
    "ReferenceRepository",
    "TranscriptRepository",
]

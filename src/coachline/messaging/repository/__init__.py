"""All SQL of messaging, one class per concern. Imported by this room only."""

from coachline.messaging.repository.arrivals import Arrival, ArrivalRepository
from coachline.messaging.repository.checkups import CheckupRepository
from coachline.messaging.repository.connection_routes import ConnectionRouteRepository
from coachline.messaging.repository.connections import ConnectionRepository
from coachline.messaging.repository.conversations import ConversationRepository
from coachline.messaging.repository.erasures import ErasureRepository
from coachline.messaging.repository.inbox import InboxRepository
from coachline.messaging.repository.inbox_lines import Cursor, InboxLineRepository
from coachline.messaging.repository.outbox import OutboxRepository
from coachline.messaging.repository.proposals import ProposalRepository
from coachline.messaging.repository.references import ReferenceRepository
from coachline.messaging.repository.restores import RestoreRepository
from coachline.messaging.repository.takeovers import TakeoverRepository
from coachline.messaging.repository.timings import TimingRepository
from coachline.messaging.repository.transcripts import TranscriptRepository
from coachline.messaging.repository.troubles import TroubleRepository

__all__ = [
    "Arrival",
    "ArrivalRepository",
    "CheckupRepository",
    "ConnectionRepository",
    "ConnectionRouteRepository",
    "ConversationRepository",
    "Cursor",
    "ErasureRepository",
    "InboxLineRepository",
    "InboxRepository",
    "OutboxRepository",
    "ProposalRepository",
    "ReferenceRepository",
    "RestoreRepository",
    "TakeoverRepository",
    "TimingRepository",
    "TranscriptRepository",
    "TroubleRepository",
]

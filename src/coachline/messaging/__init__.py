"""Messaging: connections, the inbox, the queue of conversations, the turn ledger, the outbox."""

from coachline.messaging.connections import (
    Connection,
    ConnectionConfigInvalid,
    ConnectionNameTaken,
    ConnectionNotFound,
    Connections,
    LiveConnection,
)
from coachline.messaging.delivery import Delivery, DeliveryRules
from coachline.messaging.drafts import Drafts
from coachline.messaging.intake import Accepted, Intake
from coachline.messaging.ledger import TurnLedger
from coachline.messaging.queue import JOB as CONVERSATION_JOB
from coachline.messaging.queue import Queue, QueueRules
from coachline.messaging.registry import Registry, UnknownChannel
from coachline.messaging.transcripts import (
    Checkpoint,
    Conversation,
    ConversationNotFound,
    EventNotFound,
    Explanation,
    Transcripts,
)
from coachline.messaging.turns import (
    DraftReply,
    Lease,
    Message,
    QueuedEvent,
    Turn,
    TurnTrace,
)

__all__ = [
    "CONVERSATION_JOB",
    "Accepted",
    "Checkpoint",
    "Connection",
    "ConnectionConfigInvalid",
    "ConnectionNameTaken",
    "ConnectionNotFound",
    "Connections",
    "Conversation",
    "ConversationNotFound",
    "Delivery",
    "DeliveryRules",
    "DraftReply",
    "Drafts",
    "EventNotFound",
    "Explanation",
    "Intake",
    "Lease",
    "LiveConnection",
    "Message",
    "Queue",
    "QueueRules",
    "QueuedEvent",
    "Registry",
    "Transcripts",
    "Turn",
    "TurnLedger",
    "TurnTrace",
    "UnknownChannel",
]

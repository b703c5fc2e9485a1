"""Messaging: connections, the inbox, the queue of conversations, the turn ledger, the outbox."""

from coachline.messaging.belonging import Amount, Belonging
from coachline.messaging.checkups import Checkup, Checkups, EngineCheckup
from coachline.messaging.connections import Connection, Connections, LiveConnection
from coachline.messaging.delivery import Delivery, DeliveryRules
from coachline.messaging.drafts import Drafts
from coachline.messaging.errors import (
    AccountTaken,
    ConnectionClosed,
    ConnectionConfigInvalid,
    ConnectionNameTaken,
    ConnectionNotFound,
    CredentialsRefused,
    InstallationRefused,
    NotInstallable,
    PlatformUnavailable,
    ReplyMayAppearTwice,
    ReplyNotFound,
    ReplyNotInTrouble,
    TrialRefused,
    TrialsUsedUp,
    TrialUnclear,
)
from coachline.messaging.files import Files, is_text
from coachline.messaging.hearing import ListeningRules
from coachline.messaging.installs import Installs
from coachline.messaging.intake import Accepted, Intake
from coachline.messaging.ledger import TurnLedger
from coachline.messaging.listening import Listener
from coachline.messaging.pace import Pace
from coachline.messaging.posting import Posting
from coachline.messaging.queue import JOB as CONVERSATION_JOB
from coachline.messaging.queue import Queue, QueueRules
from coachline.messaging.receipts import Receipts
from coachline.messaging.references import CitedSource, Original, References
from coachline.messaging.registry import Registry, UnknownChannel
from coachline.messaging.restored import Restored, UnderWay
from coachline.messaging.tables import EventState
from coachline.messaging.transcripts import (
    Checkpoint,
    Conversation,
    ConversationNotFound,
    EventNotFound,
    Explanation,
    Transcripts,
)
from coachline.messaging.trials import GREETING, Trials
from coachline.messaging.troubles import PROSPECTS, Prospect, Trouble, TroubleExplained, Troubles
from coachline.messaging.turns import (
    DraftReply,
    Lease,
    Message,
    Outcome,
    QueuedEvent,
    Turn,
    TurnOvertaken,
    TurnTrace,
)

__all__ = [
    "CONVERSATION_JOB",
    "GREETING",
    "PROSPECTS",
    "Accepted",
    "AccountTaken",
    "Amount",
    "Belonging",
    "Checkpoint",
    "Checkup",
    "Checkups",
    "CitedSource",
    "Connection",
    "ConnectionClosed",
    "ConnectionConfigInvalid",
    "ConnectionNameTaken",
    "ConnectionNotFound",
    "Connections",
    "Conversation",
    "ConversationNotFound",
    "CredentialsRefused",
    "Delivery",
    "DeliveryRules",
    "DraftReply",
    "Drafts",
    "EngineCheckup",
    "EventNotFound",
    "EventState",
    "Explanation",
    "Files",
    "InstallationRefused",
    "Installs",
    "Intake",
    "Lease",
    "Listener",
    "ListeningRules",
    "LiveConnection",
    "Message",
    "NotInstallable",
    "Original",
    "Outcome",
    "Pace",
    "PlatformUnavailable",
    "Posting",
    "Prospect",
    "Queue",
    "QueueRules",
    "QueuedEvent",
    "Receipts",
    "References",
    "Registry",
    "ReplyMayAppearTwice",
    "ReplyNotFound",
    "ReplyNotInTrouble",
    "Restored",
    "Transcripts",
    "TrialRefused",
    "TrialUnclear",
    "Trials",
    "TrialsUsedUp",
    "Trouble",
    "TroubleExplained",
    "Troubles",
    "Turn",
    "TurnLedger",
    "TurnOvertaken",
    "TurnTrace",
    "UnderWay",
    "UnknownChannel",
    "is_text",
]

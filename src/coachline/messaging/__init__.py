"""Messaging: connections, the inbox, the queue of conversations, the turn ledger, the outbox."""

from coachline.messaging.attention import ESCALATE_JOB, Attention
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
    ProposalDecided,
    ProposalNotFound,
    ReplyEmpty,
    ReplyMayAppearTwice,
    ReplyNotFound,
    ReplyNotInTrouble,
    TakenAlready,
    TakeoverEnded,
    TakeoverNotFound,
    TrialRefused,
    TrialsUsedUp,
    TrialUnclear,
)
from coachline.messaging.files import Files, is_text
from coachline.messaging.hearing import ListeningRules
from coachline.messaging.inbox_list import Inbox, InboxLine
from coachline.messaging.installs import Installs
from coachline.messaging.intake import Accepted, Intake
from coachline.messaging.intake_gate import IntakeGate
from coachline.messaging.ledger import TurnLedger
from coachline.messaging.listening import Listener
from coachline.messaging.pace import Pace
from coachline.messaging.posting import Posting
from coachline.messaging.proposals import PROPOSAL_JOB, Proposal, Proposals
from coachline.messaging.queue import JOB as CONVERSATION_JOB
from coachline.messaging.queue import Queue, QueueRules
from coachline.messaging.receipts import Receipts
from coachline.messaging.references import CitedSource, Original, References
from coachline.messaging.registry import Registry, UnknownChannel
from coachline.messaging.repository import Cursor as InboxCursor
from coachline.messaging.restored import Restored, UnderWay
from coachline.messaging.schemas import Name as ConnectionName
from coachline.messaging.tables import AnswerMode, EventState, OnExpiry
from coachline.messaging.takeovers import TAKEOVER_SECONDS, Takeovers
from coachline.messaging.texts import Texts
from coachline.messaging.timings import TurnTimings
from coachline.messaging.transcripts import (
    Checkpoint,
    Conversation,
    ConversationNotFound,
    EventNotFound,
    Explanation,
    Status,
    Transcripts,
)
from coachline.messaging.trials import GREETING, Trials
from coachline.messaging.troubles import PROSPECTS, Prospect, Trouble, TroubleExplained, Troubles
from coachline.messaging.turns import (
    Aside,
    Author,
    DraftReply,
    Lease,
    Message,
    Outcome,
    ProposalTerms,
    QueuedEvent,
    Takeover,
    Turn,
    TurnOvertaken,
    TurnTrace,
)

__all__ = [
    "CONVERSATION_JOB",
    "ESCALATE_JOB",
    "GREETING",
    "PROPOSAL_JOB",
    "PROSPECTS",
    "TAKEOVER_SECONDS",
    "Accepted",
    "AccountTaken",
    "Amount",
    "AnswerMode",
    "Aside",
    "Attention",
    "Author",
    "Belonging",
    "Checkpoint",
    "Checkup",
    "Checkups",
    "CitedSource",
    "Connection",
    "ConnectionClosed",
    "ConnectionConfigInvalid",
    "ConnectionName",
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
    "Inbox",
    "InboxCursor",
    "InboxLine",
    "InstallationRefused",
    "Installs",
    "Intake",
    "IntakeGate",
    "Lease",
    "Listener",
    "ListeningRules",
    "LiveConnection",
    "Message",
    "NotInstallable",
    "OnExpiry",
    "Original",
    "Outcome",
    "Pace",
    "PlatformUnavailable",
    "Posting",
    "Proposal",
    "ProposalDecided",
    "ProposalNotFound",
    "ProposalTerms",
    "Proposals",
    "Prospect",
    "Queue",
    "QueueRules",
    "QueuedEvent",
    "Receipts",
    "References",
    "Registry",
    "ReplyEmpty",
    "ReplyMayAppearTwice",
    "ReplyNotFound",
    "ReplyNotInTrouble",
    "Restored",
    "Status",
    "TakenAlready",
    "Takeover",
    "TakeoverEnded",
    "TakeoverNotFound",
    "Takeovers",
    "Texts",
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
    "TurnTimings",
    "TurnTrace",
    "UnderWay",
    "UnknownChannel",
    "is_text",
]

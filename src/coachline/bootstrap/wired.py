"""What a process has when everything is wired."""

from __future__ import annotations

from dataclasses import dataclass

from coachline.bootstrap.console_wiring import Reading, SignIn
from coachline.bootstrap.erasing_wiring import Erasing
from coachline.bootstrap.monitor_wiring import MonitorWiring
from coachline.console import own_origins
from coachline.conversation import (
    CannedReplies,
    Erasure,
    Export,
    Notes,
    Orchestrator,
    PromptPreviews,
    Safeguard,
    SafetyReviews,
    Summaries,
)
from coachline.foundation.database import Database
from coachline.foundation.metrics import Metrics
from coachline.foundation.outgoing import Outgoing
from coachline.foundation.settings import Settings
from coachline.foundation.shared_clock import SharedClock
from coachline.knowledge import (
    Documents,
    Ingestion,
    Rebuild,
    RebuildRequests,
    Retrieval,
)
from coachline.learners import Learners
from coachline.messaging import (
    Attention,
    Connections,
    Delivery,
    Inbox,
    Installs,
    Intake,
    Listener,
    Posting,
    Proposals,
    Queue,
    Registry,
    Takeovers,
    Transcripts,
    Trials,
    Troubles,
    TurnLedger,
)
from coachline.tenancy import AuditLog, Keys, Limits, Tenants


@dataclass(frozen=True, slots=True)
class Safety:
    """What judges, and what became of what it judged unsafe."""

    guard: Safeguard
    reviews: SafetyReviews


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a door may call."""

    settings: Settings
    clock: SharedClock
    database: Database
    metrics: Metrics
    http: Outgoing
    tenants: Tenants
    keys: Keys
    limits: Limits
    audit: AuditLog
    learners: Learners
    registry: Registry
    connections: Connections
    queue: Queue
    intake: Intake
    listener: Listener
    installs: Installs
    trials: Trials
    troubles: Troubles
    ledger: TurnLedger
    delivery: Delivery
    posting: Posting
    takeovers: Takeovers
    attention: Attention
    proposals: Proposals
    inbox: Inbox
    notes: Notes
    canned_replies: CannedReplies
    safety: Safety
    transcripts: Transcripts
    documents: Documents
    ingestion: Ingestion
    retrieval: Retrieval
    rebuild: Rebuild
    rebuild_requests: RebuildRequests
    erasing: Erasing
    summaries: Summaries
    erasure: Erasure
    export: Export
    orchestrator: Orchestrator
    sign_in: SignIn
    reading: Reading
    monitors: MonitorWiring
    previews: PromptPreviews

    @property
    def public_url(self) -> str:
        """The address that platforms use."""
        return public_url(self.settings)

    @property
    def console_origins(self) -> tuple[str, ...]:
        """The origins under which a browser may show the console."""
        return own_origins(self.public_url, self.settings.port)


def public_url(settings: Settings) -> str:
    """The configured public address, else the one the server listens on."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return (settings.public_url or f"http://{host}:{settings.port}").rstrip("/")

"""What a process has when everything is wired."""

from __future__ import annotations

from dataclasses import dataclass

from coachline.conversation import (
    Erasure,
    Export,
    Orchestrator,
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
    Connections,
    Delivery,
    Installs,
    Intake,
    Listener,
    Posting,
    Queue,
    Registry,
    Transcripts,
    Trials,
    Troubles,
    TurnLedger,
)
from coachline.tenancy import AuditLog, Keys, Limits, Tenants


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
    transcripts: Transcripts
    documents: Documents
    ingestion: Ingestion
    retrieval: Retrieval
    rebuild: Rebuild
    rebuild_requests: RebuildRequests
    summaries: Summaries
    erasure: Erasure
    export: Export
    orchestrator: Orchestrator

    @property
    def public_url(self) -> str:
        """The address that platforms use."""
        return public_url(self.settings)


def public_url(settings: Settings) -> str:
    """The configured public address, else the one the server listens on."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return (settings.public_url or f"http://{host}:{settings.port}").rstrip("/")

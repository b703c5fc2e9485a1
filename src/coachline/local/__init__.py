"""The embedded servers: what `coachline up` starts where no external server is named."""

from coachline.local.catalogue import CHAT_MODEL, EMBED_MODEL
from coachline.local.chroma import ChromaProcess
from coachline.local.demo import TENANT as DEMO_TENANT
from coachline.local.demo import Demo, DemoChat
from coachline.local.disks import Disk, look_at_disk
from coachline.local.errors import HomeInUse, LocalServerError
from coachline.local.home import Home, HomeSecrets
from coachline.local.lab import Lab
from coachline.local.model_process import ModelProcess
from coachline.local.postgres import PostgresServer, ensure_database
from coachline.local.supervisor import Supervisor
from coachline.local.valkey import ValkeyServer
from coachline.local.webhook_peer import (
    ConnectionShut,
    GatewayAway,
    MessageRefused,
    ReplyDraft,
    ReplyPart,
    WebhookPeer,
)
from coachline.local.worker_process import WorkerProcess

__all__ = [
    "CHAT_MODEL",
    "DEMO_TENANT",
    "EMBED_MODEL",
    "ChromaProcess",
    "ConnectionShut",
    "Demo",
    "DemoChat",
    "Disk",
    "GatewayAway",
    "Home",
    "HomeInUse",
    "HomeSecrets",
    "Lab",
    "LocalServerError",
    "MessageRefused",
    "ModelProcess",
    "PostgresServer",
    "ReplyDraft",
    "ReplyPart",
    "Supervisor",
    "ValkeyServer",
    "WebhookPeer",
    "WorkerProcess",
    "ensure_database",
    "look_at_disk",
]

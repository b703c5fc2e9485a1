"""Every setting, read once from the environment (``COACHLINE_*``) and from ``.env`` if present."""

from __future__ import annotations

import os
import re
import socket
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    SettingsConfigDict,
)

from coachline.foundation.errors import SettingsInvalid

Network = IPv4Network | IPv6Network
PREFIX = "COACHLINE_"
# The rules, a persona of some length, a question and a passage or two.
_LEAST_PROMPT_TOKENS = 1024
_FIRST_GIVEN_FILE = 3
_ADDRESS = r"(\[[^\]]*\]|[^/?#@:\[\],]*)(:\d+)?"
_DATABASE_URL = re.compile(
    rf"postgres(ql)?://([^/?#]*@)?{_ADDRESS}(,{_ADDRESS})*(/[^?#]*)?(\?[^#]*)?"
)


class Settings(BaseSettings):
    """The configuration of one process. Unset URLs mean: use what ``coachline up`` embeds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    home: Path = Field(
        default_factory=lambda: user_data_path("coachline"),
        description="Folder of the embedded servers' data.",
    )
    host: str = Field(default="127.0.0.1", description="Address the HTTP server listens on.")
    port: int = Field(
        default=8765, ge=0, le=65535, description="Port of the HTTP server; 0 takes a free one."
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/[^\s]*)?$",
        description="Address under which platforms reach this server, e.g. https://coach.example.org.",
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL as coachline_app: postgresql://coachline_app:…@host/db.",
    )
    worker_database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL as coachline_worker, direct: a listener passes no pooler.",
    )
    owner_database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL as coachline_owner; only `coachline migrate` uses it."
    )
    database_pooler: bool = Field(
        default=False,
        description="True when database_url goes through PgBouncer in transaction mode.",
    )
    database_pool_size: int = Field(default=10, ge=1, le=200, description="Connections per role.")
    redis_url: SecretStr | None = Field(
        default=None, description="Redis or Valkey: redis://…, rediss://… or unix://…."
    )
    chroma_url: str | None = Field(default=None, description="A private ChromaDB server.")
    ollama_url: str | None = Field(
        default=None, description="An Ollama server; localhost:11434 is tried by `up` when unset."
    )
    embed_url: str | None = Field(
        default=None, description="Ollama-protocol server for embeddings; ollama_url when unset."
    )
    chat_model: str = Field(default="smollm2:135m", description="Model that answers by default.")
    embed_model: str = Field(default="all-minilm", description="Model that makes embeddings.")

    master_keys: SecretStr | None = Field(
        default=None,
        description="Keys that seal secrets, newest first: id:base64(32 bytes)[,id:base64…].",
    )
    outgoing_allow: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(),
        description="Networks beside public ones that callbacks may reach, e.g. 10.1.0.0/16.",
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1024, le=33_554_432, description="Largest request body."
    )

    worker_concurrency: int = Field(
        default=32, ge=20, le=1000, description="Conversations one worker process runs at once."
    )
    tenant_max_turns: int = Field(
        default=8, ge=1, le=1000, description="Conversations of one tenant in the engine at once."
    )
    lease_seconds: float = Field(
        default=30.0, ge=3, le=600, description="How long a silent worker keeps a conversation."
    )
    drain_seconds: float = Field(
        default=25.0, ge=0, le=300, description="How long running turns may finish on SIGTERM."
    )
    sweep_seconds: float = Field(
        default=10.0, ge=1, le=60, description="How often forgotten work is looked for."
    )
    turn_max_attempts: int = Field(
        default=3, ge=1, le=20, description="Tries before an event is parked with an apology."
    )
    reply_max_attempts: int = Field(
        default=8, ge=1, le=100, description="Sends of a reply before it may be given up."
    )
    reply_max_age_seconds: float = Field(
        default=3600.0, ge=0, description="Age a reply must also have before it is given up."
    )

    model_concurrency: int = Field(
        default=2, ge=1, le=256, description="Requests to the model server at once, per process."
    )
    model_queue_limit: int = Field(
        default=256, ge=1, le=10_000, description="Model requests that may wait, per process."
    )
    first_token_seconds: float = Field(default=60.0, gt=0, description="Wait for a first token.")
    stall_seconds: float = Field(default=20.0, gt=0, description="Longest gap between tokens.")
    answer_seconds: float = Field(default=180.0, gt=0, description="Longest whole generation.")
    context_tokens: int = Field(
        default=4096, ge=2048, le=1_000_000, description="Prompt and answer together, in tokens."
    )
    answer_tokens: int = Field(
        default=400, ge=16, le=100_000, validate_default=True, description="Longest answer."
    )

    feed_days: int = Field(
        default=30,
        ge=2,
        le=3650,
        description="Days that the feed and its deliveries are kept.",
    )

    api_requests_per_minute: int = Field(
        default=600, ge=1, description="Calls of the REST API, per tenant."
    )
    messages_per_day: int = Field(
        default=20_000, ge=1, description="Answered messages, per tenant and UTC day."
    )
    learner_messages_per_minute: int = Field(
        default=20, ge=1, description="Answered messages, per learner."
    )
    failed_auth_per_minute: int = Field(
        default=30, ge=1, description="Failed signatures or keys, per address."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe line that is written."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto: text on a terminal, else json."
    )

    @field_validator("outgoing_allow", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        return value

    @field_validator("database_url", "worker_database_url", "owner_database_url")
    @classmethod
    def _check_database_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _DATABASE_URL.fullmatch(value.get_secret_value()):
            raise ValueError("must look like postgresql://user:password@host:port/database")
        return value

    @field_validator("answer_tokens")
    @classmethod
    def _leave_room(cls, value: int, info: ValidationInfo) -> int:
        context = info.data.get("context_tokens", 0)
        if context - value < _LEAST_PROMPT_TOKENS:
            raise ValueError(
                f"must leave {_LEAST_PROMPT_TOKENS} of the {context} tokens of "
                f"{PREFIX}CONTEXT_TOKENS to the prompt"
            )
        return value


def load_settings() -> Settings:
    """Read the settings of this process.

    Raises:
        SettingsInvalid: a value is wrong or a ``COACHLINE_`` name is not known; every fault is
            named, none of the values is shown.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(n for n in _given_names() if n.startswith(PREFIX) and n not in known)
    if unknown:
        raise SettingsInvalid(
            f"Unknown setting {', '.join(unknown)}. config/example.env lists every name."
        )
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()
        )
        raise SettingsInvalid(f"Settings are wrong. {faults}") from None


def _given_names() -> set[str]:
    """Every name in the environment and in the settings file."""
    try:
        in_file = DotEnvSettingsSource(Settings).env_vars
    except UnicodeDecodeError:
        raise SettingsInvalid("The settings file .env is not UTF-8 text.") from None
    return {name.upper() for name in (*os.environ, *in_file)}


def find_listener() -> socket.socket | None:
    """The listening socket that this process was started with, as systemd hands one over.

    The protocol is that of sd_listen_fds(3): ``LISTEN_PID`` names this process, and the socket is
    file descriptor 3.

    Raises:
        SettingsInvalid: there are several, or it is no listening TCP socket.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if os.environ.get("LISTEN_FDS") != "1":
        raise SettingsInvalid("LISTEN_FDS must be 1: one listening socket.")
    try:
        listener = socket.socket(fileno=_FIRST_GIVEN_FILE)
    except OSError:
        raise SettingsInvalid("The socket that LISTEN_FDS names is not open.") from None
    listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or not listens:
        listener.detach()
        raise SettingsInvalid("The socket that LISTEN_FDS names is no listening TCP socket.")
    listener.set_inheritable(False)
    return listener


def render_example() -> str:
    """The text of ``config/example.env``: every setting with its meaning and default."""
    lines = ["# Generated by `make docs`. Every setting of Coachline, with its default.", ""]
    for name, field in Settings.model_fields.items():
        default = "" if name == "home" or field.default in (None, ()) else field.default
        lines += [f"# {field.description}", f"#{PREFIX}{name.upper()}={default}", ""]
    return "\n".join(lines)

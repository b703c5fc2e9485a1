"""Connecting a channel from what its own ``Config`` asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from channel_kit import Channel, Installing
from channel_kit.signing import generate_secret
from coachline.console.schema_forms import Form, faults_of, form_of
from coachline.foundation.errors import CoachlineError
from coachline.foundation.ids import ConnectionId, TenantId
from coachline.messaging import (
    Connection,
    ConnectionName,
    ConnectionNameTaken,
    Connections,
    Installs,
    Registry,
    UnknownChannel,
)

_NAME: Final[TypeAdapter[str]] = TypeAdapter(ConnectionName)
_NAME_RULE: Final = "1 to 63 letters, digits, spaces, . _ and -, beginning with a letter or digit."


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """A channel that is installed: what it asks for, and how it may be connected."""

    name: str
    about: str
    form: Form
    can_install: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed to connect: never shown again where it is a secret."""

    name: str
    fields: Mapping[str, str]
    install: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A connection just made or configured, and what is told of it this once.

    ``secrets`` were made here; ``install_url`` is good for one browser and ten minutes.
    """

    connection: Connection
    steps: tuple[str, ...]
    secrets: Mapping[str, str]
    install_url: str | None = None


class NotConnected(Exception):
    """What was typed does not connect; ``form`` says what is wrong, and where."""

    def __init__(self, form: Form, name_fault: str = "", status: int = 422) -> None:
        super().__init__()
        self.form = form
        self.name_fault = name_fault
        self.status = status


class ChannelDesk:
    """Reads forms of channels and connects what they say."""

    def __init__(self, registry: Registry, connections: Connections, installs: Installs) -> None:
        self._registry = registry
        self._connections = connections
        self._installs = installs

    def list(self) -> list[str]:
        """Names of the installed channels."""
        return self._registry.list()

    async def get(self, channel: str) -> ChannelKind:
        """One installed channel.

        Raises:
            UnknownChannel: it is not installed, or cannot be imported.
        """
        return _describe(channel, await self._registry.load(channel))

    async def add(self, tenant_id: TenantId, channel: str, typed: Typed, *, actor: str) -> Made:
        """Connect.

        Raises:
            NotConnected: what was typed does not fit, or the platform refuses it.
            UnknownChannel: it is not installed.
        """
        kind, config, made = await self._read(channel, typed)
        try:
            connection = await self._connections.add(
                tenant_id,
                channel,
                typed.name,
                config,
                actor=actor,
                install=typed.install and kind.can_install,
            )
        except ConnectionNameTaken as error:
            raise NotConnected(kind.form.keep(typed.fields), error.message, error.status) from None
        except CoachlineError as error:
            raise _not_connected(kind, typed, error) from error
        return await self._tell(connection, made, is_installed=typed.install)

    async def configure(
        self, tenant_id: TenantId, connection: Connection, typed: Typed, *, actor: str
    ) -> Made:
        """Give a connection new settings as a whole; the old ones stay where that fails.

        Raises:
            NotConnected: what was typed does not fit, or the platform refuses it.
            ConnectionNotFound: there is no such connection.
        """
        kind, config, made = await self._read(connection.channel, typed)
        try:
            changed = await self._connections.configure(
                tenant_id, connection.id, config, actor=actor
            )
        except CoachlineError as error:
            raise _not_connected(kind, typed, error) from error
        return await self._tell(changed, made, is_installed=False)

    async def begin_install(self, tenant_id: TenantId, connection_id: ConnectionId) -> str:
        """A new link that installs a connection; older ones end.

        Raises:
            ConnectionNotFound: there is no such connection.
            NotInstallable: its channel is connected otherwise.
        """
        return await self._installs.begin(tenant_id, connection_id)

    async def _read(
        self, channel: str, typed: Typed
    ) -> tuple[ChannelKind, dict[str, Any], dict[str, str]]:
        """The channel, its settings as typed, and the secrets that were made for them."""
        found = await self._registry.load(channel)
        kind = _describe(channel, found)
        config, faults = kind.form.read(typed.fields)
        made: dict[str, str] = {}
        for field in kind.form.fields:
            if field.is_makeable and field.name not in config:
                made[field.label] = secret = generate_secret()
                config[field.name] = [secret]
        name_fault, whole = "", ""
        try:
            _NAME.validate_python(typed.name)
        except ValidationError:
            name_fault = _NAME_RULE
        try:
            if not faults:
                found.Config.model_validate(config)
        except ValidationError as error:
            faults, whole = faults_of(error)
        if faults or whole or name_fault:
            raise NotConnected(kind.form.keep(typed.fields, faults, whole), name_fault)
        return kind, config, made

    async def _tell(
        self, connection: Connection, made: Mapping[str, str], *, is_installed: bool
    ) -> Made:
        if not is_installed:
            return Made(connection, connection.steps, made)
        redirect_url = self._installs.redirect_url(connection.id)
        steps = (
            *connection.steps,
            f"Give the app this redirect URL: {redirect_url}",
            "Open the link below within ten minutes and allow it.",
        )
        url = await self._installs.begin(connection.tenant_id, connection.id)
        return Made(connection, steps, made, url)


def _not_connected(kind: ChannelKind, typed: Typed, error: CoachlineError) -> NotConnected:
    return NotConnected(kind.form.keep(typed.fields, fault=error.message), status=error.status)


def _describe(channel: str, found: type[Channel]) -> ChannelKind:
    about = (found.__doc__ or "").strip().split("\n")[0]
    return ChannelKind(channel, about, form_of(found.Config), issubclass(found, Installing))


__all__ = ["ChannelDesk", "ChannelKind", "Made", "NotConnected", "Typed", "UnknownChannel"]

"""Configurations of connections, sealed: each opens only for the row that it was made for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from channel_kit import Channel
from coachline.foundation.ids import ConnectionId, TenantId
from coachline.foundation.seal import Seal
from coachline.messaging.errors import ConnectionConfigInvalid
from coachline.messaging.tables import ConnectionRow

_TABLE, _COLUMN = "connection", "sealed_config"


class SealedConfigs:
    """Checks, seals and opens what a channel was connected with."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def parse(self, kind: type[Channel], config: Mapping[str, Any]) -> BaseModel:
        """The configuration as the channel understands it.

        Raises:
            ConnectionConfigInvalid: it lacks something; the values are not shown.
        """
        try:
            return kind.Config.model_validate(dict(config))
        except ValidationError as error:
            raise ConnectionConfigInvalid(_faults(kind, error)) from None

    def merge(self, kind: type[Channel], config: BaseModel, found: Mapping[str, Any]) -> BaseModel:
        """The configuration with what was found out since.

        Raises:
            ConnectionConfigInvalid: the two do not fit each other.
        """
        try:
            return kind.Config.model_validate_json(_reveal_json({**dict(config), **found}))
        except ValidationError as error:
            raise ConnectionConfigInvalid(_faults(kind, error)) from None

    def close(self, tenant_id: TenantId, connection_id: ConnectionId, config: BaseModel) -> bytes:
        """The configuration, secrets and all, as it is stored."""
        return self._seal.seal(
            _reveal_json(dict(config)),
            tenant_id=tenant_id,
            table=_TABLE,
            row=connection_id,
            column=_COLUMN,
        )

    def open(self, row: ConnectionRow) -> bytes:
        """The JSON of a stored configuration.

        Raises:
            SealBroken: it was made for another row, with an unknown key, or was changed.
        """
        return self._seal.open(
            row.sealed_config,
            tenant_id=TenantId(row.tenant_id),
            table=_TABLE,
            row=row.id,
            column=_COLUMN,
        )

    def renew(self, row: ConnectionRow) -> bytes | None:
        """The same under the newest master key; None when it is already.

        Raises:
            SealBroken: it cannot be opened.
        """
        if self._seal.is_current(row.sealed_config):
            return None
        return self._seal.reseal(
            row.sealed_config,
            tenant_id=TenantId(row.tenant_id),
            table=_TABLE,
            row=row.id,
            column=_COLUMN,
        )


def _faults(kind: type[Channel], error: ValidationError) -> str:
    faults = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'config'}: {fault['msg']}"
        for fault in error.errors(include_input=False)
    )
    return f"{kind.name} cannot be connected: {faults}"


def _reveal_json(config: Mapping[str, Any]) -> bytes:
    """The configuration as JSON with its secrets in clear, for the seal and nothing else."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [walk(item) for item in value]
        if isinstance(value, BaseModel):
            return walk(dict(value))
        if value is None or isinstance(value, (str, int, float, bool)):
            return value
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    return json.dumps(walk(dict(config))).encode()

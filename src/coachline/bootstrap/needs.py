"""Settings without which nothing can be wired."""

from __future__ import annotations

from typing import NoReturn

from pydantic import SecretStr

from coachline.foundation.errors import SettingsInvalid
from coachline.foundation.seal import Seal, parse_master_keys
from coachline.foundation.settings import PREFIX, Settings


def need(value: SecretStr | None, name: str) -> str:
    """The secret, in clear.

    Raises:
        SettingsInvalid: it is not set.
    """
    return value.get_secret_value() if value is not None else refuse(name)


def refuse(name: str) -> NoReturn:
    """Say that the setting ``name`` is missing, and what to do.

    Raises:
        SettingsInvalid: always.
    """
    raise SettingsInvalid(
        f"{PREFIX}{name.upper()} is not set and no `coachline up` is running on this data folder. "
        "Start `coachline up`, or set it (config/example.env explains every setting)."
    )


def need_seal(settings: Settings) -> Seal:
    """The seal of the configured master keys.

    Raises:
        SettingsInvalid: there are none, or they are none.
    """
    keys = need(settings.master_keys, "master_keys")
    try:
        return parse_master_keys(keys)
    except SettingsInvalid as error:
        raise SettingsInvalid(f"{PREFIX}MASTER_KEYS is wrong. {error.message}") from None

"""What names, languages, time zones and texts of a tenant must look like."""

from __future__ import annotations

import re
from types import MappingProxyType
from zoneinfo import ZoneInfo

from coachline.foundation.errors import InvalidInput
from coachline.tenancy.profile import ProfileChanges

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# The shape of RFC 5646 (BCP 47): language, script, region, variants; no extension is of use here.
_LANGUAGE = re.compile(
    r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?"
    r"(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3})){0,4}"
)
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}")
# PostgreSQL cannot store NUL, UTF-8 cannot spell a lone surrogate.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_TEXT_LIMITS = MappingProxyType({"display_name": 200, "persona": 20_000, "apology": 1_000})
_MAX_FALLBACKS = 10
_MAX_COUNT = 2**31 - 1


class TenantNameInvalid(InvalidInput):
    """A tenant's name has another shape than names have."""

    code = "tenant_name_invalid"


class ProfileInvalid(InvalidInput):
    """A value of a tenant's profile cannot be used; the message names the field."""

    code = "profile_invalid"


def check_name(name: str) -> None:
    """Accept a tenant's name: it is written in commands and URLs.

    Raises:
        TenantNameInvalid: it has another shape.
    """
    if not _NAME.fullmatch(name):
        raise TenantNameInvalid(
            "A tenant's name is 1-63 lower-case letters, digits and hyphens, "
            "and begins with a letter or digit, for example: acme-coaching."
        )


def check_text(
    field: str,
    value: str,
    *,
    limit: int,
    empty: bool = False,
    error: type[InvalidInput] = ProfileInvalid,
) -> None:
    """Accept a text of at most ``limit`` characters that PostgreSQL can store.

    Raises:
        ProfileInvalid: it is empty (unless ``empty``), too long, or holds NUL or half a
            character; or ``error``, when another kind is named.
    """
    if not value.strip() and not empty:
        raise error(f"{field} must not be empty.")
    if len(value) > limit:
        raise error(f"{field} has {len(value)} characters; at most {limit} are allowed.")
    if _UNSTORABLE.search(value):
        raise error(f"{field} holds a NUL or half a character (lone surrogate).")


def check_changes(changes: ProfileChanges) -> None:
    """Accept changes of a profile.

    Raises:
        ProfileInvalid: a value cannot be used; the message names the field and the rule.
    """
    for field, limit in _TEXT_LIMITS.items():
        value = changes.get(field)
        if isinstance(value, str):
            check_text(field, value, limit=limit, empty=field == "persona")
        elif field in changes and field != "apology":
            raise ProfileInvalid(f"{field} must be a text.")
    if "language" in changes and not _LANGUAGE.fullmatch(changes["language"]):
        raise ProfileInvalid("language must be a BCP 47 tag such as en, de-AT or zh-Hant-TW.")
    if "time_zone" in changes:
        _check_time_zone(changes["time_zone"])
    _check_models(changes)
    for field in ("max_turns", "messages_per_day"):
        count = changes.get(field)
        if isinstance(count, int) and not 1 <= count <= _MAX_COUNT:
            raise ProfileInvalid(f"{field} must be 1 or more.")


def _check_time_zone(value: str) -> None:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        raise ProfileInvalid(
            "time_zone must be a name of the IANA database such as UTC or Europe/Vienna."
        ) from None


def _check_models(changes: ProfileChanges) -> None:
    model = changes.get("chat_model")
    fallbacks = changes.get("fallback_models", ())
    if len(fallbacks) > _MAX_FALLBACKS:
        raise ProfileInvalid(f"fallback_models may name at most {_MAX_FALLBACKS} models.")
    for name in (*fallbacks, *(() if model is None else (model,))):
        if not _MODEL.fullmatch(name):
            raise ProfileInvalid("A model is named like llama3.2:3b.")

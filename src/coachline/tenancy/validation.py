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
_TEXT_LIMITS = MappingProxyType(
    {"display_name": 200, "persona": 20_000, "apology": 1_000, "crisis_script": 1_000}
)
_MAY_BE_NONE = frozenset({"apology", "crisis_script", "proposal_seconds"})
# A whole name, as it stands in an address; what a browser shows in other letters is xn--… here.
_HOST = re.compile(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+"
)
_MAX_HOSTS = 100
# Above the higher one not even an open announcement of a suicide would count.
_SCORES = (0.3, 0.95)
_MAX_FALLBACKS = 10
_MAX_HUMAN_WORDS = 20
# A month, and a week.
_LONGEST_SECONDS = MappingProxyType(
    {"proposal_seconds": 2_592_000, "escalate_after_seconds": 604_800}
)
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
        elif field in changes and field not in _MAY_BE_NONE:
            raise ProfileInvalid(f"{field} must be a text.")
    if "language" in changes and not _LANGUAGE.fullmatch(changes["language"]):
        raise ProfileInvalid("language must be a BCP 47 tag such as en, de-AT or zh-Hant-TW.")
    if "time_zone" in changes:
        _check_time_zone(changes["time_zone"])
    _check_models(changes)
    _check_stepping_in(changes)
    _check_safety(changes)
    for field in ("max_turns", "messages_per_day"):
        count = changes.get(field)
        if isinstance(count, int) and not 1 <= count <= _MAX_COUNT:
            raise ProfileInvalid(f"{field} must be 1 or more.")


def _check_stepping_in(changes: ProfileChanges) -> None:
    if changes.get("answer_mode", "bot") not in ("bot", "draft"):
        raise ProfileInvalid("answer_mode must be bot or draft.")
    if changes.get("on_proposal_expiry", "drop") not in ("send", "drop"):
        raise ProfileInvalid("on_proposal_expiry must be send or drop.")
    words = changes.get("human_words", ())
    if len(words) > _MAX_HUMAN_WORDS:
        raise ProfileInvalid(f"human_words may be at most {_MAX_HUMAN_WORDS}.")
    for word in words:
        check_text("human_words", word, limit=60)
    for field, longest in _LONGEST_SECONDS.items():
        seconds = changes.get(field, longest)
        if seconds is None and field in _MAY_BE_NONE:
            continue
        if not isinstance(seconds, int) or not 1 <= seconds <= longest:
            raise ProfileInvalid(f"{field} must be 1 to {longest}.")


def _check_time_zone(value: str) -> None:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        raise ProfileInvalid(
            "time_zone must be a name of the IANA database such as UTC or Europe/Vienna."
        ) from None


def _check_models(changes: ProfileChanges) -> None:
    named = (changes.get("chat_model"), changes.get("safety_model"))
    fallbacks = changes.get("fallback_models", ())
    if len(fallbacks) > _MAX_FALLBACKS:
        raise ProfileInvalid(f"fallback_models may name at most {_MAX_FALLBACKS} models.")
    for name in (*fallbacks, *(model for model in named if model is not None)):
        if not _MODEL.fullmatch(name):
            raise ProfileInvalid("A model is named like llama3.2:3b.")


def _check_safety(changes: ProfileChanges) -> None:
    hosts = changes.get("allowed_hosts", ())
    if len(hosts) > _MAX_HOSTS:
        raise ProfileInvalid(f"allowed_hosts may name at most {_MAX_HOSTS} hosts.")
    for host in hosts:
        if len(host) > 253 or not _HOST.fullmatch(host) or host.rpartition(".")[2].isdigit():
            raise ProfileInvalid(
                "A host is named like docs.example.org: lower case, no scheme, port or path."
            )
    for field in ("safety_concern_score", "safety_crisis_score"):
        score = changes.get(field)
        if isinstance(score, int | float) and not _SCORES[0] <= score <= _SCORES[1]:
            raise ProfileInvalid(f"{field} must be from {_SCORES[0]} to {_SCORES[1]}.")

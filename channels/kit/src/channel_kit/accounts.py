"""Accounts that only the platform itself may vouch for."""

from __future__ import annotations

from urllib.parse import urlsplit


def vouched(account: str, *, api_url: str, platform: str) -> str:
    """Return the name of an account, as unique as whoever vouches for it.

    An account is connected once in an installation. Any server that a tenant may name as
    ``api_url`` can say that it has anybody's account: told by other than ``platform`` or a host
    below it, over TLS, it is only that server's account of that name.
    """
    parts = urlsplit(api_url)
    host = parts.hostname or ""
    is_platform = host == platform or host.endswith(f".{platform}")
    return account if parts.scheme == "https" and is_platform else f"{account}@{host}"

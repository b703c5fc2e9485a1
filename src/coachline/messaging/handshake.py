"""The first talk with a platform about an account: prove the credentials, say where to deliver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import structlog

from channel_kit import (
    Channel,
    ChannelError,
    Connected,
    Connecting,
    CredentialsRejected,
    Installing,
    RateLimited,
    ReplyRejected,
)
from coachline.messaging.errors import (
    ConnectionConfigInvalid,
    CredentialsRefused,
    PlatformUnavailable,
)

_CONNECT_SECONDS = 20.0
_DISCONNECT_SECONDS = 5.0
_LONGEST_WORDS = 300
_Told = TypeVar("_Told")

log = structlog.get_logger()


class Handshake:
    """Asks platforms, each time with a deadline, and says in the owner's words what went wrong.

    Never called inside a transaction.
    """

    async def connect(self, channel: Channel, inbound_url: str) -> Connected:
        """Prove the credentials and tell the platform where to deliver.

        Raises:
            CredentialsRefused: the platform does not take them.
            ConnectionConfigInvalid: the platform will not deliver there, or not like this.
            PlatformUnavailable: it cannot be asked now.
        """
        if not isinstance(channel, Connecting):
            raise TypeError(f"{channel.name} is connected without asking the platform")
        return await _ask(channel, channel.connect(inbound_url))

    async def complete(
        self, channel: Channel, *, code: str, redirect_url: str
    ) -> Mapping[str, Any]:
        """Exchange the code of an installation for settings.

        Raises:
            CredentialsRefused: the code is wrong, used or late.
            PlatformUnavailable: the platform cannot be asked now.
        """
        if not isinstance(channel, Installing):
            raise TypeError(f"{channel.name} is not installed by a click")
        return await _ask(channel, channel.complete(code=code, redirect_url=redirect_url))

    async def disconnect(self, channel: Channel) -> None:
        """Ask the platform to stop delivering; if it does not, deliveries meet a closed door."""
        if not isinstance(channel, Connecting):
            return
        try:
            async with asyncio.timeout(_DISCONNECT_SECONDS):
                await channel.disconnect()
        except (ChannelError, TimeoutError) as error:
            log.warning(
                "connection.not_disconnected", channel=channel.name, error=type(error).__name__
            )
        except Exception as error:  # noqa: BLE001 - third-party code may raise anything
            # Without its trace, which may show an address with a token in it.
            log.error("channel.disconnect_broken", channel=channel.name, error=type(error).__name__)


async def _ask(channel: Channel, asking: Awaitable[_Told]) -> _Told:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await asking
    except CredentialsRejected as error:
        raise CredentialsRefused(
            f"{channel.name} does not take these credentials: {_words(error)}"
        ) from None
    except ReplyRejected as error:
        raise ConnectionConfigInvalid(
            f"{channel.name} cannot be connected like this: {_words(error)}"
        ) from None
    except RateLimited as error:
        raise PlatformUnavailable(
            f"{channel.name} asks to try again later.", retry_after_seconds=error.retry_after
        ) from None
    except ChannelError as error:
        raise PlatformUnavailable(f"{channel.name} cannot be asked now: {_words(error)}") from None
    except TimeoutError:
        raise PlatformUnavailable(
            f"{channel.name} did not answer within {_CONNECT_SECONDS:.0f} s."
        ) from None
    except Exception as error:  # noqa: BLE001 - third-party code may raise anything
        # Without its words and its trace, which may show an address with a token in it.
        log.error("channel.connect_broken", channel=channel.name, error=type(error).__name__)
        raise PlatformUnavailable(
            f"{channel.name} cannot be asked: the channel raised {type(error).__name__}."
        ) from None


def _words(error: ChannelError) -> str:
    return str(error)[:_LONGEST_WORDS] or type(error).__name__

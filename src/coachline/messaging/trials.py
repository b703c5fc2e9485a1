"""Test messages: does what we send on a connection arrive?"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from channel_kit import (
    Channel,
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    Placeholder,
    RateLimited,
    Receipt,
    RecipientUnreachable,
    Reply,
    ReplyRejected,
    ThreadMoved,
)
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database
from coachline.foundation.errors import CoachlineError
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.learners import Consent, Identities
from coachline.messaging.connections import Connections
from coachline.messaging.errors import (
    ConnectionClosed,
    CredentialsRefused,
    PlatformUnavailable,
    TrialRefused,
    TrialsUsedUp,
    TrialUnclear,
)
from coachline.tenancy import AuditLog

GREETING = "This is a test message. The connection works."
_ACTION = "connection.test"
_A_MINUTE = 10
_MINUTE_SECONDS = 60.0
_SEND_SECONDS = 20.0

log = structlog.get_logger()


class Trials:
    """Sends one message at a time, beside every conversation: it is in no history."""

    def __init__(
        self,
        database: Database,
        connections: Connections,
        identities: Identities,
        consent: Consent,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._connections = connections
        self._identities = identities
        self._consent = consent
        self._audit = audit
        self._clock = clock

    async def send(
        self,
        tenant_id: TenantId,
        connection_id: ConnectionId,
        *,
        to: str,
        text: str = GREETING,
        actor: str,
    ) -> Receipt:
        """Send ``text`` to a thread, written as the channel writes its threads.

        Raises:
            ConnectionNotFound: there is no such connection.
            ConnectionClosed: it is disabled.
            TrialsUsedUp: ten were sent within a minute.
            TrialRefused: the platform will not take it, or the person does not want it.
            TrialUnclear: the platform did not say whether it took it.
            CredentialsRefused: the platform does not take the credentials any more.
            PlatformUnavailable: the platform cannot be asked now.
        """
        live = await self._connections.live(tenant_id, connection_id)
        if live.state != "active":
            raise ConnectionClosed(f"The connection is disabled: {live.problem or 'by its owner'}.")
        await self._permit(tenant_id, connection_id, to, actor)
        reply = Reply(id=str(new_id()), thread=to, text=text, at=self._clock.now())
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                return await _show(live.channel, reply)
        except ChannelError as error:
            raise _explain(live.channel.name, error) from None
        except TimeoutError:
            raise TrialUnclear("The platform did not answer in time.") from None
        except Exception as error:
            log.exception("channel.broken", channel=live.channel.name)
            raise TrialUnclear(f"The channel raised {type(error).__name__}.") from None

    async def _permit(
        self, tenant_id: TenantId, connection_id: ConnectionId, to: str, actor: str
    ) -> None:
        """Note the test, and count it by the notes, which all processes share."""
        async with self._database.tenant(tenant_id) as session:
            identity = await self._identities.find(session, connection_id, to)
            if identity is not None:
                standing = await self._consent.standing(session, identity.learner_id, connection_id)
                if not standing.is_allowed:
                    raise TrialRefused("This person does not want to be written to.")
            await self._audit.record(
                session, actor=actor, action=_ACTION, object=f"connection:{connection_id}"
            )
            latest = await self._audit.list(session, action=_ACTION, limit=_A_MINUTE + 1)
            since = self._clock.now() - timedelta(seconds=_MINUTE_SECONDS)
            if len(latest) > _A_MINUTE and latest[-1].at > since:
                wait = (latest[-1].at - since).total_seconds()
                raise TrialsUsedUp(
                    f"At most {_A_MINUTE} test messages a minute.", retry_after_seconds=wait
                )


async def _show(channel: Channel, reply: Reply) -> Receipt:
    if isinstance(channel, Placeholder):
        return await channel.fill(await channel.reserve(reply), reply)
    return await channel.send(reply)


def _explain(channel: str, error: ChannelError) -> CoachlineError:
    problem = str(error)[:300] or type(error).__name__
    match error:
        case CredentialsRejected():
            return CredentialsRefused(f"{channel} does not take the credentials: {problem}")
        case ReplyRejected() | RecipientUnreachable():
            return TrialRefused(f"{channel} does not deliver there: {problem}")
        case ThreadMoved():
            return TrialRefused(f"It has another address now: {error.thread}")
        case RateLimited():
            wait = error.retry_after if error.retry_after > 0 else None
            return PlatformUnavailable(
                f"{channel} asks to try again later.", retry_after_seconds=wait
            )
        case ChannelUnavailable():
            return PlatformUnavailable(f"{channel} cannot be reached: {problem}")
        case _:
            return TrialUnclear(f"{channel} did not say whether it took the message: {problem}")

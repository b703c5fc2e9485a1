"""Platforms on this machine, connected to a tenant, with a page to write on as a learner."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    # The lab comes with the source only, and nothing else of this room needs it.
    from coachline.foundation.ids import TenantId
    from coachline.messaging import Connection, Connections
    from coachline_lab.page import LabPage, SlackSeat, TelegramSeat, TwilioSeat
    from coachline_lab.slack import FakeSlack
    from coachline_lab.telegram import FakeTelegram
    from coachline_lab.twilio import FakeTwilio

_ACTOR: Final = "lab"


class Lab:
    """Telegram, Slack and Twilio for one tenant, as long as the ``async with`` lasts.

    Args:
        connections: where the platforms are connected.
        tenant_id: whose learners write.
        port: of the page; 0 takes a free one.
    """

    def __init__(self, connections: Connections, tenant_id: TenantId, *, port: int = 0) -> None:
        self._connections = connections
        self._tenant_id = tenant_id
        self._port = port
        self._stack = AsyncExitStack()
        self._page: LabPage | None = None
        self._connected: list[Connection] = []

    @property
    def url(self) -> str:
        """The address of the page."""
        return "" if self._page is None else self._page.url

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        # What nobody answers to any more is closed, or its replies would be tried for ever.
        async with self._stack:
            for connection in self._connected:
                await self._connections.set_state(
                    self._tenant_id, connection.id, "disabled", actor=_ACTOR
                )

    async def _open(self) -> None:
        from coachline_lab.page import LabPage
        from coachline_lab.slack import FakeSlack
        from coachline_lab.telegram import FakeTelegram
        from coachline_lab.twilio import FakeTwilio

        enter = self._stack.enter_async_context
        # With the platforms' own patience: a person who stops the gateway sees what they do.
        telegram = await enter(FakeTelegram(time_scale=1.0))
        slack = await enter(FakeSlack(time_scale=1.0))
        twilio = await enter(FakeTwilio(pause_seconds=1.0))
        seats = (
            await self._open_telegram(telegram),
            await self._open_slack(slack),
            await self._open_twilio(twilio),
        )
        self._page = await self._stack.enter_async_context(LabPage(seats, port=self._port))

    async def _open_telegram(self, telegram: FakeTelegram) -> TelegramSeat:
        from coachline_lab.page import TelegramSeat

        # Accounts are connected once in an installation, also those of an earlier lab: by chance.
        token = f"{7_000_000_000 + secrets.randbelow(10**9)}:{secrets.token_urlsafe(26)}"
        bot = telegram.add_bot(token, name="Coach", username="lab_coach_bot")
        await self._connect("telegram", {"token": bot.token, "api_url": telegram.url})
        return TelegramSeat(telegram, bot)

    async def _open_slack(self, slack: FakeSlack) -> SlackSeat:
        from coachline_lab.page import SlackSeat

        team = slack.add_team("Lab", id=f"T0{secrets.token_hex(4).upper()}")
        app = slack.install(slack.add_app("Coach"), team)
        connection = await self._connect(
            "slack",
            {
                "signing_secret": app.app.signing_secret,
                "bot_token": app.token,
                "api_url": slack.api_url,
            },
        )
        url = self._connections.inbound_url(connection.id)
        await slack.set_request_url(app.app, url)
        return SlackSeat(slack, app)

    async def _open_twilio(self, twilio: FakeTwilio) -> TwilioSeat:
        from coachline_lab.page import TwilioSeat
        from coachline_lab.twilio import NUMBER

        account = twilio.account
        await self._connect(
            "sms",
            {
                "account_sid": account.sid,
                "auth_token": account.token,
                "from_number": NUMBER,
                "api_url": twilio.url,
            },
        )
        return TwilioSeat(twilio, NUMBER)

    async def _connect(self, channel: str, config: Mapping[str, Any]) -> Connection:
        """Connect anew under the name of the last time, so that the conversations stay together."""
        name = f"lab {channel}"
        known = await self._connections.find_named(self._tenant_id, name)
        if known is None:
            made = await self._connections.add(self._tenant_id, channel, name, config, actor=_ACTOR)
        else:
            made = await self._connections.configure(
                self._tenant_id, known.id, config, actor=_ACTOR
            )
        self._connected.append(made)
        return made

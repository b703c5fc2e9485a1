"""A Slack on the loopback."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from coachline_lab.delivery import InboundFaults, Outbound
from coachline_lab.faults import Faults
from coachline_lab.ledger import Ledger
from coachline_lab.records import Accepted
from coachline_lab.serving import BODY_BYTES, LoopbackServer
from coachline_lab.slack.api import SlackApi
from coachline_lab.slack.circumstances import Circumstances
from coachline_lab.slack.events import Events
from coachline_lab.slack.looking import Looking
from coachline_lab.slack.oauth import OAuth
from coachline_lab.slack.people import People
from coachline_lab.slack.posting import Posting
from coachline_lab.slack.rates import Rates
from coachline_lab.slack.sockets import Sockets
from coachline_lab.slack.stage import Said, Stage
from coachline_lab.slack.streaming import Streaming
from coachline_lab.slack.telling import Telling
from coachline_lab.slack.world import App, Channel, Installation, Team, User, World

ANSWER_SECONDS = 3.0
"""How long Slack waits for a 2xx."""

_LOGIN = "<!doctype html><title>Sign in | Slack</title><h1>Sign in to your workspace</h1>"


class FakeSlack:
    """The Web API, the Events API, Socket Mode, OAuth, the people, and a ledger.

    An async context manager. ``api_url`` is what a client takes as the API's address,
    ``authorize_url`` the page that installs an app. ``people`` and ``around`` are what people do;
    the most usual of it can be called here. ``rates`` keeps Slack's tiers once ``rates.is_kept``;
    ``inbound`` disturbs events; ``sockets`` are the open connections of Socket Mode.

    Args:
        port: where to listen; 0 takes a free port.
        time_scale: what the waits between deliveries are multiplied with; 1.0 is Slack's own.
    """

    def __init__(self, *, port: int = 0, time_scale: float = 0.01) -> None:
        self.faults = Faults()
        self.ledger = Ledger("slack")
        self.rates = Rates()
        self.world = World()
        self._outbound = Outbound(ANSWER_SECONDS)
        self.sockets = Sockets(self.world)
        self.events = Events(self._outbound, self.sockets, time_scale)
        self.telling = Telling(self.world, self.events)
        self._stage = Stage(self.world, self.telling, self.ledger)
        posting = Posting(self.world, self.ledger, self.telling)
        self.streaming = Streaming(posting)
        self.looking = Looking(self.world, posting, self.telling)
        self.oauth = OAuth(self.world)
        self.people = People(self._stage)
        self.around = Circumstances(self._stage, self.events, posting)
        self._server = LoopbackServer(self._application(posting), port)

    def _application(self, posting: Posting) -> web.Application:
        methods = {
            **posting.methods(),
            **self.streaming.methods(),
            **self.looking.methods(),
        }
        open_methods = {
            **self.oauth.methods(),
            "apps.connections.open": self.sockets.connections_open,
        }
        api = SlackApi(self.world, self.ledger, self.faults, self.rates, methods, open_methods)
        app = web.Application(client_max_size=BODY_BYTES)
        api.add_to(app)
        self.oauth.add_to(app)
        self.sockets.add_to(app)
        self.around.add_to(app)
        app.router.add_get("/files-pri/{team}-{file}/{path:.*}", self._file)
        return app

    async def __aenter__(self) -> Self:
        await self._outbound.open()
        await self._server.start()
        for part in (self.sockets, self.around):
            part.base_url = self.url
        self.people.files_url = self.url
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._outbound.close()
        await self._server.stop()

    @property
    def url(self) -> str:
        """The address of the server, without a path."""
        return self._server.url

    @property
    def api_url(self) -> str:
        """The address of the Web API, as Slack's own clients take it."""
        return f"{self.url}/api/"

    @property
    def authorize_url(self) -> str:
        """The page that asks a person to install an app."""
        return f"{self.url}/oauth/v2/authorize"

    @property
    def inbound(self) -> InboundFaults:
        """What goes wrong on the way to apps."""
        return self.events.faults

    def add_team(self, name: str = "Acme", **settings: Any) -> Team:
        """Make a workspace; see :meth:`World.add_team`."""
        return self.world.add_team(name, **settings)

    def add_app(self, name: str = "Coach", **settings: Any) -> App:
        """Register an app; see :meth:`World.add_app`."""
        return self.world.add_app(name, **settings)

    def install(self, app: App | None = None, team: Team | None = None) -> Installation:
        """Put an app into a workspace without a click; what is left out is made."""
        return self.world.install(app or self.add_app(), team or self.add_team())

    def add_user(self, team: Team, name: str, **settings: Any) -> User:
        """Make a person; see :meth:`World.add_user`."""
        return self.world.add_user(team, name, **settings)

    def add_channel(self, app: Installation, name: str, **settings: Any) -> Channel:
        """Make a channel with the app in it, without telling anybody."""
        return self.world.add_channel(app.team, name, [app.bot.id], **settings)

    async def set_request_url(self, app: App, url: str) -> bool:
        """Enter the address for events, interactions and commands; False if it is not verified."""
        if not await self.events.verify_url(app, url):
            return False
        app.request_url = url
        return True

    async def say(self, text: str, **where: Any) -> Said:
        """Write a message as a person; see :meth:`People.say`."""
        return await self.people.say(text, **where)

    async def ask(self, text: str, *, seconds: float = 10.0, **where: Any) -> Accepted:
        """Write a message and return the answer.

        Raises:
            TimeoutError: there was none in time.
        """
        said = await self.people.say(text, **where)
        return await self.wait_for_answer(said.thread, after=said.place, seconds=seconds)

    async def edit(self, message: Said | str, text: str, **where: Any) -> Said:
        """Change the own message; see :meth:`People.edit`."""
        return await self.people.edit(message, text, **where)

    async def delete(self, message: Said | str, **where: Any) -> Said:
        """Delete a message; see :meth:`People.delete`."""
        return await self.people.delete(message, **where)

    async def press(self, button: str, **where: Any) -> Said:
        """Press a button; see :meth:`Circumstances.press`."""
        return await self.around.press(button, **where)

    async def command(self, text: str = "", **where: Any) -> Said:
        """Use a slash command; see :meth:`Circumstances.command`."""
        return await self.around.command(text, **where)

    def redeliver(self, count: int = 1) -> None:
        """Deliver the last ``count`` events once more, as they were."""
        self.events.redeliver(count)

    async def wait_for_answer(
        self,
        thread: str,
        *,
        after: int = 0,
        account: str | None = None,
        seconds: float = 10.0,
    ) -> Accepted:
        """Return the first finished answer behind ``after``; see :meth:`Ledger.wait_for_answer`.

        Raises:
            TimeoutError: there was none in time.
        """
        return await self.ledger.wait_for_answer(
            thread, after=after, account=account, seconds=seconds
        )

    async def idle(self, seconds: float = 10.0) -> None:
        """Return when every app was told everything, retries included.

        Raises:
            TimeoutError: something is still on its way.
        """
        await self._outbound.idle(seconds)

    def status(self, said: Said) -> str:
        """What the app shows itself to be doing in a thread; empty for nothing."""
        team, channel, thread = said.thread.split("/")
        shown, until = self.world.teams[team].statuses.get((channel, thread), ("", 0.0))
        return shown if until > time.monotonic() else ""

    def home(self, app: Installation, user: User) -> dict[str, Any] | None:
        """The view that an app published for a person, if it did."""
        return app.team.homes.get((app.app.id, user.id))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        installation = self.world.tokens.get(token)
        team = request.match_info["team"]
        is_known = installation is not None and not installation.is_revoked
        may = installation is not None and "files:read" in installation.scopes.split(",")
        if not (is_known and may and installation and installation.team.id == team):
            # Slack shows a page to sign in where one would expect a 401.
            return web.Response(text=_LOGIN, content_type="text/html")
        file = installation.team.files.get(request.match_info["file"])
        if file is None:
            return web.Response(status=404, text="Not Found")
        _, mime_type, data = file
        return web.Response(body=data, content_type=mime_type)

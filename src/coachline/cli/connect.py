"""``coachline connect``: check the credentials, set the webhook, say what to click, send a test."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from coachline.cli.support import WRONG_USE, emit, fail, open_services, run

if TYPE_CHECKING:
    from coachline.bootstrap import Services
    from coachline.foundation.ids import TenantId
    from coachline.messaging import Connection

app = typer.Typer(no_args_is_help=True, help="Connect a tenant to a channel.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
ApiUrl = Annotated[
    str | None, typer.Option(help="Where the platform's API is, if not at its usual address.")
]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace", help="Give a connection of this name new credentials, if there is one."
    ),
]
TestTo = Annotated[
    str | None, typer.Option(help="Send a test message there: a chat id, a phone number, a thread.")
]
_ASKED = "Asked for when left out or -; then it is in no shell history."

SigningSecret = Annotated[
    str | None, typer.Option(help=f"Basic Information > Signing Secret. {_ASKED}")
]
BotToken = Annotated[
    str | None, typer.Option(help=f"OAuth > Bot User OAuth Token, xoxb-…. {_ASKED}")
]
AppToken = Annotated[
    str | None, typer.Option(help=f"With --socket: app-level token, xapp-…. {_ASKED}")
]
Socket = Annotated[
    bool | None,
    typer.Option(
        "--socket/--events",
        help="Open a socket, or have events delivered; a socket where no https address is set.",
    ),
]
Install = Annotated[
    bool, typer.Option("--install", help="Get the bot token by a click, with the two below.")
]
ClientId = Annotated[
    str | None, typer.Option(help="With --install: Basic Information > Client ID.")
]
ClientSecret = Annotated[str | None, typer.Option(help=f"With --install: Client Secret. {_ASKED}")]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What one command connects."""

    tenant: str
    channel: str
    name: str
    config: Mapping[str, Any]
    test_to: str | None = None
    install: bool = False
    replace: bool = False


@app.command()
def webhook(
    tenant: TenantName,
    callback: Annotated[str, typer.Option(help="Where replies are posted: https://….")],
    name: Annotated[str, typer.Option(help="Name of the connection.")] = "webhook",
    stream: Annotated[bool, typer.Option(help="Post drafts while an answer is written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Connect a plain webhook; its signing secret is shown this once."""

    from channel_kit.signing import generate_secret

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            secret = generate_secret()
            made = await services.connections.add(
                found.id,
                "webhook",
                name,
                {"secrets": [secret], "callback_url": callback, "stream": stream},
                actor="cli",
            )
            emit(
                {
                    "connection_id": str(made.id),
                    "inbound_url": services.connections.inbound_url(made.id),
                    "secret": secret,
                },
                as_json,
            )

    run(work)


@app.command()
def telegram(
    tenant: TenantName,
    token: Annotated[str | None, typer.Option(help=f"What @BotFather gave. {_ASKED}")] = None,
    polling: Annotated[
        bool | None,
        typer.Option(
            "--polling/--webhook",
            help="Fetch updates, or have them delivered; fetched where no https address is set.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the connection.")] = "telegram",
    test_to: TestTo = None,
    replace: Replace = False,
    api_url: ApiUrl = None,
    as_json: AsJson = False,
) -> None:
    """Connect a Telegram bot."""

    async def work() -> None:
        config = {"token": _ask("Bot token", token), "api_url": api_url}
        async with open_services() as services:
            fetches = _fetches(services, polling)
            config["receive"] = "polling" if fetches else "webhook"
            wanted = _Wanted(tenant, "telegram", name, _given(config), test_to, replace=replace)
            await _connect(services, wanted, as_json)

    run(work)


@app.command()
def slack(
    tenant: TenantName,
    signing_secret: SigningSecret = None,
    bot_token: BotToken = None,
    app_token: AppToken = None,
    socket: Socket = None,
    install: Install = False,
    client_id: ClientId = None,
    client_secret: ClientSecret = None,
    name: Annotated[str, typer.Option(help="Name of the connection.")] = "slack",
    test_to: TestTo = None,
    replace: Replace = False,
    api_url: ApiUrl = None,
    as_json: AsJson = False,
) -> None:
    """Connect a Slack app to a workspace."""
    if install and client_id is None:
        fail("--install needs --client-id.", code=WRONG_USE)
    if install and replace:
        fail("--replace takes tokens: install again with `connection install`.", code=WRONG_USE)
    if install and test_to is not None:
        fail("--test-to needs an open connection: test it after the installation.", code=WRONG_USE)

    async def work() -> None:
        async with open_services() as services:
            opens_socket = _fetches(services, True if app_token else socket)
            config = {
                "signing_secret": _ask("Signing secret", signing_secret),
                "client_id": client_id,
                "receive": "socket" if opens_socket else "events",
                "api_url": api_url,
            }
            if install:
                config["client_secret"] = _ask("Client secret", client_secret)
            else:
                config["bot_token"] = _ask("Bot token", bot_token)
            if opens_socket:
                config["app_token"] = _ask("App-level token", app_token)
            wanted = _Wanted(tenant, "slack", name, _given(config), test_to, install, replace)
            await _connect(services, wanted, as_json)

    run(work)


@app.command()
def sms(
    tenant: TenantName,
    account_sid: Annotated[str, typer.Option(help="Twilio's account SID, AC….")],
    auth_token: Annotated[str | None, typer.Option(help=f"Its auth token. {_ASKED}")] = None,
    from_number: Annotated[
        str | None, typer.Option("--from", help="The number that learners write to, +1….")
    ] = None,
    service: Annotated[str | None, typer.Option(help="Or a Messaging Service, MG….")] = None,
    whatsapp: Annotated[bool, typer.Option("--whatsapp", help="The number's WhatsApp.")] = False,
    name: Annotated[str, typer.Option(help="Name of the connection.")] = "sms",
    test_to: TestTo = None,
    replace: Replace = False,
    api_url: ApiUrl = None,
    as_json: AsJson = False,
) -> None:
    """Connect a Twilio number, for SMS or WhatsApp."""
    if (from_number is None) == (service is None):
        fail("Give either --from or --service.", code=WRONG_USE)
    if whatsapp and from_number is None:
        fail("--whatsapp needs --from.", code=WRONG_USE)

    async def work() -> None:
        prefix = "whatsapp:" if whatsapp else ""
        config = {
            "account_sid": account_sid,
            "auth_token": _ask("Auth token", auth_token),
            "from_number": from_number and prefix + from_number.removeprefix(prefix),
            "messaging_service_sid": service,
            "api_url": api_url,
        }
        async with open_services() as services:
            if not services.public_url.startswith("https://"):
                _note(
                    f"Twilio cannot call {services.public_url}: nothing comes in until "
                    "COACHLINE_PUBLIC_URL is an https address and you connect with --replace."
                )
            wanted = _Wanted(tenant, "sms", name, _given(config), test_to, replace=replace)
            await _connect(services, wanted, as_json)

    run(work)


def _ask(what: str, given: str | None) -> str:
    """A secret from the option, else from the terminal unseen, else the next line of stdin."""
    if given is not None and given != "-":
        return given
    if sys.stdin.isatty():
        answer: str = typer.prompt(what, hide_input=True, err=True)
        return answer.strip()
    line = sys.stdin.readline().strip()
    if not line:
        fail(f"{what} is missing: give it as an option, or on a line of stdin.", code=WRONG_USE)
    return line


def _given(config: Mapping[str, str | None]) -> dict[str, str]:
    return {field: value for field, value in config.items() if value is not None}


def _fetches(services: Services, wanted: bool | None) -> bool:
    """Whether we call the platform: as asked for, else where it could not call us."""
    if wanted is not None:
        return wanted
    if services.public_url.startswith("https://"):
        return False
    _note(
        f"{services.public_url} is not an https address: events are fetched, not delivered. "
        "Set COACHLINE_PUBLIC_URL to have them delivered."
    )
    return True


def _note(words: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(words)


async def _open(services: Services, tenant_id: TenantId, wanted: _Wanted) -> Connection:
    connections = services.connections
    known = await connections.find_named(tenant_id, wanted.name) if wanted.replace else None
    if known is None:
        return await connections.add(
            tenant_id,
            wanted.channel,
            wanted.name,
            wanted.config,
            actor="cli",
            install=wanted.install,
        )
    if known.channel != wanted.channel:
        fail(f"The connection {wanted.name!r} is one of {known.channel}.")
    return await connections.configure(tenant_id, known.id, wanted.config, actor="cli")


async def _connect(services: Services, wanted: _Wanted, as_json: bool) -> None:
    found = await services.tenants.get_by_name(wanted.tenant)
    made = await _open(services, found.id, wanted)
    steps = list(made.steps)
    told: dict[str, Any] = {
        "connection_id": str(made.id),
        "channel": made.channel,
        "name": made.name,
        "title": made.title,
        "state": made.state,
        "problem": made.problem,
        "receive": wanted.config.get("receive", "webhook"),
        "inbound_url": services.connections.inbound_url(made.id),
        "write_to": made.write_to,
    }
    if wanted.install:
        told["install_url"] = await services.installs.begin(found.id, made.id)
        steps += [
            f"Give the app this redirect URL: {services.installs.redirect_url(made.id)}",
            "Open install_url within ten minutes and allow it.",
        ]
    try:
        if wanted.test_to is not None:
            receipt = await services.trials.send(found.id, made.id, to=wanted.test_to, actor="cli")
            told["test_message"] = receipt.external_id or "accepted"
    finally:
        # The connection stands, whatever became of its first message.
        _tell(told, steps, as_json)


def _tell(told: Mapping[str, Any], steps: list[str], as_json: bool) -> None:
    if as_json:
        emit({**told, "steps": steps}, as_json)
        return
    emit({name: value for name, value in told.items() if value is not None}, as_json)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for number, step in enumerate(steps, start=1):
        console.print(f"{number}. {step}")

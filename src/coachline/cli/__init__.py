"""The door of the command line."""

from __future__ import annotations

import typer

from coachline.cli import (
    backup,
    channels,
    chat,
    connect,
    connections,
    doctor,
    keys,
    knowledge,
    lab,
    messages,
    replies,
    servers,
)
from coachline.cli import tenants as tenant_commands

app = typer.Typer(
    name="coachline",
    help="A self-hosted, multi-tenant conversational coaching gateway.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (servers.up, servers.serve, servers.work, servers.migrate, doctor.doctor):
    app.command()(command)
app.command()(chat.chat)
app.command()(messages.why)
app.command()(lab.lab)
app.command()(backup.backup)
app.command()(backup.restore)
app.add_typer(tenant_commands.app, name="tenant")
app.add_typer(keys.app, name="key")
app.add_typer(connect.app, name="connect")
app.add_typer(connections.app, name="connection")
app.add_typer(replies.app, name="reply")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(channels.app, name="channel")


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong use."""
    app()

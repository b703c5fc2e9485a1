"""The door of the command line."""

from __future__ import annotations

import typer

from coachline.cli import (
    backup,
    channels,
    chat,
    connect,
    connections,
    console,
    deliveries,
    doctor,
    endpoints,
    feed,
    keys,
    knowledge,
    lab,
    learners,
    messages,
    notes,
    proposals,
    replies,
    safety,
    servers,
    staff,
    takeovers,
    usage,
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
app.command()(feed.feed)
app.command()(lab.lab)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(tenant_commands.compact)
app.add_typer(tenant_commands.app, name="tenant")
app.add_typer(keys.app, name="key")
app.add_typer(staff.app, name="staff")
app.add_typer(console.app, name="console")
app.add_typer(connect.app, name="connect")
app.add_typer(connections.app, name="connection")
app.add_typer(replies.app, name="reply")
app.add_typer(endpoints.app, name="endpoint")
app.add_typer(deliveries.app, name="delivery")
app.add_typer(takeovers.app, name="takeover")
app.add_typer(proposals.app, name="proposal")
app.add_typer(notes.app, name="note")
app.add_typer(safety.app, name="safety")
app.add_typer(learners.app, name="learner")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(channels.app, name="channel")
app.add_typer(usage.app, name="usage")


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong use."""
    app()

"""What people do on Slack with words: say, change and delete them, react, upload, come and go."""

from __future__ import annotations

from typing import Any

from coachline_lab.slack.stage import Said, Stage
from coachline_lab.slack.world import Channel, Installation, Stored, User


class People:
    """Everything that people do in channels. ``app`` may be left out while there is one only.

    ``user`` is a person or an id; None is always the same one. ``channel`` None is the direct
    message with the app.
    """

    def __init__(self, stage: Stage) -> None:
        self.files_url = ""
        self._stage = stage

    async def say(
        self,
        text: str,
        *,
        user: User | str | None = None,
        channel: Channel | str | None = None,
        app: Installation | None = None,
        thread_ts: str = "",
        mention: bool = False,
    ) -> Said:
        """Write a message; ``mention`` puts the app's name before it.

        People's ``&``, ``<`` and ``>`` are escaped by Slack, mentions are written as ``<@U…>``.
        """
        installation, person, place = self._where(user, channel, app)
        told = text if "<@" in text else _escaped(text)
        if mention:
            told = f"<@{installation.bot.id}> {told}"
        content: dict[str, Any] = {
            "client_msg_id": f"{self._stage.world.new_id('')}-4c1a-4a3b-9d3c-lab",
            "text": told,
            "blocks": _typed_blocks(told),
        }
        return self._stage.post(person, place, content, thread_ts=thread_ts)

    async def edit(
        self,
        message: Said | str,
        text: str,
        *,
        user: User | str | None = None,
        channel: Channel | str | None = None,
        app: Installation | None = None,
    ) -> Said:
        """Change the own message."""
        person, place, stored = self._find(message, user, channel, app)
        previous = stored.json
        edited = {"user": person.id, "ts": self._stage.world.stamp()}
        told = text if "<@" in text else _escaped(text)
        stored.json = previous | {"text": told, "blocks": _typed_blocks(told), "edited": edited}
        if stored.entry is not None:
            self._stage.ledger.edit(stored.entry, text)
        return self._stage.said(place, stored, self._stage.telling.changed(place, stored, previous))

    async def metadata_edit(
        self,
        message: Said | str,
        *,
        user: User | str | None = None,
        channel: Channel | str | None = None,
        app: Installation | None = None,
    ) -> Said:
        """Let Slack unfurl a link: the message changes, its words do not."""
        _, place, stored = self._find(message, user, channel, app)
        previous = stored.json
        preview = {"id": 1, "from_url": "https://example.com", "title": "Example", "fallback": "x"}
        stored.json = previous | {"attachments": [preview]}
        return self._stage.said(place, stored, self._stage.telling.changed(place, stored, previous))

    async def delete(
        self,
        message: Said | str,
        *,
        user: User | str | None = None,
        channel: Channel | str | None = None,
        app: Installation | None = None,
    ) -> Said:
        """Delete a message."""
        _, place, stored = self._find(message, user, channel, app)
        place.remove(stored.ts)
        if stored.entry is not None:
            self._stage.ledger.remove(stored.entry)
        return self._stage.said(place, stored, self._stage.telling.deleted(place, stored))

    async def react(
        self,
        message: Said | str,
        name: str,
        *,
        user: User | str | None = None,
        channel: Channel | str | None = None,
        app: Installation | None = None,
    ) -> Said:
        """Put a reaction (``thumbsup``) on a message."""
        person, place, stored = self._find(message, user, channel, app)
        stored.reactions.setdefault(name, []).append(person.id)
        event = {
            "type": "reaction_added",
            "user": person.id,
            "reaction": name,
            "item": {"type": "message", "channel": place.id, "ts": stored.ts},
            "item_user": stored.json.get("user", ""),
            "event_ts": self._stage.world.stamp(),
        }
        return self._stage.said(place, stored, self._stage.telling.to_all(place, event))

    async def upload(
        self,
        data: bytes,
        *,
        name: str = "notes.txt",
        mime_type: str = "text/plain",
        text: str = "",
        user: User | str | None = None,
        channel: Channel | str | None = None,
        app: Installation | None = None,
        thread_ts: str = "",
    ) -> Said:
        """Upload a file with a message. It can be fetched with the app's token only."""
        _, person, place = self._where(user, channel, app)
        team = place.team
        number = self._stage.world.new_id("F")
        team.files[number] = (name, mime_type, data)
        private = f"{self.files_url}/files-pri/{team.id}-{number}"
        file = {
            "id": number,
            "name": name,
            "title": name,
            "mimetype": mime_type,
            "filetype": name.rpartition(".")[2],
            "user": person.id,
            "size": len(data),
            "mode": "hosted",
            "is_external": False,
            "url_private": f"{private}/{name}",
            "url_private_download": f"{private}/download/{name}",
            "file_access": "visible",
        }
        content = {"subtype": "file_share", "text": text, "files": [file], "upload": False}
        return self._stage.post(person, place, content, thread_ts=thread_ts)

    async def join(self, channel: Channel, user: User | str) -> Said:
        """Come into a channel, which a message of its own says."""
        person = self._stage.user(user, channel.team)
        channel.members.add(person.id)
        content = {"subtype": "channel_join", "text": f"<@{person.id}> has joined the channel"}
        return self._stage.post(person, channel, content)

    async def invite_app(self, channel: Channel, app: Installation | None = None) -> None:
        """Bring the app into a channel."""
        installation = self._stage.installation(app)
        channel.members.add(installation.bot.id)
        event = {
            "type": "member_joined_channel",
            "user": installation.bot.id,
            "channel": channel.id,
            "channel_type": "C",
            "team": channel.team.id,
            "event_ts": self._stage.world.stamp(),
        }
        self._stage.telling.to_one(installation, event)

    async def say_as_bot(
        self,
        text: str,
        *,
        channel: Channel,
        name: str = "Otherbot",
        is_classic: bool = False,
        thread_ts: str = "",
    ) -> Said:
        """Let another bot write: with ``subtype: bot_message`` if classic, else with a user."""
        number = self._stage.world.new_id("B")
        content: dict[str, Any] = {"text": text, "bot_id": number}
        if is_classic:
            content |= {"subtype": "bot_message", "username": name}
        else:
            content["bot_profile"] = {"id": number, "name": name, "app_id": "A0OTHER"}
        bot = self._stage.world.add_user(channel.team, name, is_bot=True)
        channel.members.add(bot.id)
        return self._stage.post(bot, channel, content, thread_ts=thread_ts)

    def _where(
        self,
        user: User | str | None,
        channel: Channel | str | None,
        app: Installation | None,
    ) -> tuple[Installation, User, Channel]:
        installation = self._stage.installation(app)
        person = self._stage.user(user, installation.team)
        place = self._stage.channel(channel, person, installation)
        place.members.add(person.id)
        return installation, person, place

    def _find(
        self,
        message: Said | str,
        user: User | str | None,
        channel: Channel | str | None,
        app: Installation | None,
    ) -> tuple[User, Channel, Stored]:
        if isinstance(message, Said) and channel is None:
            channel = message.channel
        _, person, place = self._where(user, channel, app)
        return person, place, place.get(message.ts if isinstance(message, Said) else message)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _typed_blocks(text: str) -> list[dict[str, Any]]:
    """The rich text that Slack's composer makes of what was typed."""
    words = {"type": "text", "text": text}
    section = {"type": "rich_text_section", "elements": [words]}
    return [{"type": "rich_text", "block_id": "lab", "elements": [section]}]

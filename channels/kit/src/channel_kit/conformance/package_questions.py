"""Is it a channel, can it be found, and does it keep its settings to itself?"""

from __future__ import annotations

import re
from importlib.metadata import entry_points

import pytest
from pydantic import ValidationError

from channel_kit.abilities import Fetching, Placeholder, Reconciling, Streaming, Typing
from channel_kit.conformance.asking import ABILITIES, has
from channel_kit.conformance.subject import NOWHERE, Subject
from channel_kit.contract import Capabilities, Channel

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def find_installed(name: str) -> object:
    """Return the class behind the entry point ``name``, or None: what the gateway would load."""
    found = entry_points(group="coachline.channels", name=name)
    return next((entry.load() for entry in found), None)


class PackageQuestions(Subject):
    """Questions that need neither a request nor a platform."""

    def test_it_is_installed_under_its_name(self) -> None:
        """The gateway finds the class by its entry point, and nowhere else."""
        channel = self.channel
        assert _NAME.fullmatch(channel.name), f"{channel.name!r} is not a name"
        assert find_installed(channel.name) is channel, (
            f"no entry point {channel.name!r} in group coachline.channels leads to it"
        )

    def test_it_is_named_as_every_channel(self) -> None:
        """`<Name>Channel` in `channel_<name>`: who knows one channel finds the next."""
        name = self.channel.name
        camel = "".join(word.capitalize() for word in name.split("_"))
        assert self.channel.__name__ == f"{camel}Channel"
        assert self.channel.__module__.split(".")[0] == f"channel_{name}"

    def test_it_keeps_the_contract(self) -> None:
        """Every member of the protocol is there, with the right kind of capabilities."""
        assert isinstance(self.connect(), Channel)
        assert isinstance(self.channel.capabilities, Capabilities)

    def test_its_abilities_and_its_capabilities_agree(self) -> None:
        """What it says that it can do, it can do, and the other way round."""
        capabilities, connected = self.channel.capabilities, self.connect()
        assert isinstance(connected, Streaming) is capabilities.streaming
        assert isinstance(connected, Typing) is capabilities.typing
        assert isinstance(connected, Fetching) is capabilities.attachments_in
        if isinstance(connected, Reconciling | Placeholder):
            assert not capabilities.idempotent_send, "what is safe to send again needs neither"
        assert (capabilities.attachment_bytes is not None) is capabilities.attachments_in

    def test_its_class_has_its_abilities(self) -> None:
        """An ability that only an instance has would be used, and never questioned here."""
        for ability in ABILITIES:
            assert isinstance(self.connect(), ability) is has(self.channel, ability), ability

    def test_its_settings_refuse_what_is_missing(self) -> None:
        """Nothing that a tenant must give has a default: least of all a secret."""
        complete = self.config(NOWHERE)
        required = {n for n, f in self.channel.Config.model_fields.items() if f.is_required()}
        secret = {
            n for n, given in complete.items() if any(s in str(given) for s in self.secrets())
        }
        assert secret, "a channel without a secret proves nothing"
        assert secret <= required, f"secrets that may be left out: {sorted(secret - required)}"
        for name in required:
            with pytest.raises(ValidationError):
                self.channel.Config.model_validate({**complete, name: None})
            del complete[name]
            with pytest.raises(ValidationError):
                self.channel.Config.model_validate(complete)
            complete = self.config(NOWHERE)

    def test_its_settings_refuse_what_it_does_not_know(self) -> None:
        """A misspelt setting is an error, not a setting that silently has no effect."""
        with pytest.raises(ValidationError):
            self.channel.Config.model_validate({**self.config(NOWHERE), "unknown_setting": 1})

    def test_its_settings_hide_their_secrets(self) -> None:
        """Not in a representation, not in a dump, not in the error that a typing slip makes."""
        given = self.config(NOWHERE)
        config = self.channel.Config.model_validate(given)
        shown = f"{config!r} {config} {config.model_dump_json()} {self.connect()!r}"
        for secret in self.secrets():
            try:
                self.channel.Config.model_validate({**given, "misplaced": secret})
            except ValidationError as error:
                shown += str(error)
        for secret in self.secrets():
            assert secret not in shown, "a secret is shown"

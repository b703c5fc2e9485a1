"""Does any answer arrive as it was meant: every word, in parts that fit, and nothing more?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import cycle
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from channel_kit.abilities import Paced, Shaping
from channel_kit.conformance.asking import asked_of
from channel_kit.conformance.subject import Subject
from channel_kit.contract import Channel, Choice, Citation
from channel_kit.rendering import render
from channel_kit.text import measure, split

HINT: Final = "Reply MORE for the rest."
CITATIONS: Final = tuple(
    Citation(number=number, title=f"Chapter {number}: On beginnings", source=f"guide-{number}.md")
    for number in (1, 2, 3)
)
CHOICES: Final = tuple(
    Choice(label=f"The {word} one", value=word) for word in ("first", "second", "third")
)
LINKS: Final = "[words](https://a.example/x) [you](tg://user?id=1) [me](mailto:ada@a.example) "
STYLES: Final = "*one* **two** ***three*** ~~four~~ `five` _six_ __seven__ "
# What platforms make something of, when they find it in a text.
TRAPS: Final = (
    "@channel @here @everyone @ada_l <!channel> <@U0ADA0001> <#C0GENERAL1> <!subteam^S1|team> ",
    "https://a.example/path?x=1&y=2 ",
    LINKS,
    "![a picture](https://a.example/p.png) ",
    "<b>html</b> &lt;b&gt; &amp; <https://a.example> ",
    STYLES,
    "a*b*c snake_case_name 2 * 3 * 4 ~5 |6| ",
    "\n\n# A title\n\n",
    "\n\n> quoted\n> twice\n\n",
    "\n\n- one\n- two\n  1. deeper\n\n",
    "\n\n```py\nprint('@channel <!here>')\n```\n\n",
    "\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n",
    "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{GIRL} 🇩🇪 e\u0301 שלום 世界 ",
    "/command #tag $TAG :smile: %s {name} \\ ",
    "Some ordinary words of an answer. ",
)
_ALPHABET: Final = st.characters(blacklist_categories=("Cs", "Cc", "Cf", "Co", "Cn"))
TEXTS: Final = st.one_of(
    st.lists(st.sampled_from(TRAPS), min_size=1, max_size=12).map("".join),
    st.text(_ALPHABET, max_size=80),
    st.builds(lambda piece, times: piece * times, st.sampled_from(TRAPS), st.integers(20, 50)),
)


class TextQuestions(Subject):
    """Questions about what becomes of an answer's words, and how fast."""

    @pytest.mark.asyncio
    async def test_any_answer_can_be_read_as_it_was_written(self) -> None:
        """Any CommonMark, cut and sent as the gateway does: all words, in order, within limits."""
        capabilities = self.channel.capabilities
        async with self.platform() as (platform, channel):
            for text in some_texts():
                platform.calls.clear()
                parts = self._parts(channel, text)
                for number, part in enumerate(parts, 1):
                    await channel.send(self.reply(part, part=number, parts=len(parts)))
                read = [self.read_call(call).text for call in platform.calls]
                for one in read:
                    assert 0 < measure(one, capabilities.text_unit) <= capabilities.max_text
                self._says(read, parts, text)

    @pytest.mark.asyncio
    async def test_no_text_becomes_more_than_words(self) -> None:
        """Nobody is pinged by an answer, no page is previewed, no style is broken."""
        async with self.platform() as (platform, channel):
            everywhere = [("\n\n".join(TRAPS), thread) for thread in self.threads()]
            others = zip(some_texts(), cycle(self.threads()), strict=False)
            for text, thread in (*everywhere, *others):
                platform.calls.clear()
                for part in self._parts(channel, text):
                    await channel.send(self.reply(part, thread=thread))
                for call in platform.calls:
                    self.check_rendered(call)

    @asked_of(Shaping)
    def test_its_parts_are_the_whole_answer(self) -> None:
        """None blank, none lost, in order, the same every time, with and without a hint."""
        long = self._longer_than_one("\n\n".join(TRAPS))
        assert self._parts(self.connect(), long) == self._parts(self.connect(), long), "not pure"
        for text in (long, *some_texts()):
            whole = render(text).text
            for hint in ("", HINT):
                parts = self._parts(self.connect(), text, hint)
                shown = [render(part).text for part in parts]
                assert all(one.strip() for one in shown), "a part is blank"
                assert parts or not text.strip(), f"nothing is left of {text!r}"
                if whole.strip():
                    assert _letters("".join(shown)) == _letters(whole), text

    @asked_of(Shaping)
    @pytest.mark.asyncio
    async def test_its_parts_leave_room_for_what_comes_with_them(self) -> None:
        """A hint below each, sources and choices below the last: every one fits one call."""
        pieces = ("\n\n".join(TRAPS), STYLES, LINKS)
        texts = [self._longer_than_one(piece) for piece in pieces]
        async with self.platform() as (platform, channel):
            for text in texts:
                parts = self._parts(channel, text, HINT)
                platform.calls.clear()
                for number, part in enumerate(parts, 1):
                    more = {"citations": CITATIONS, "choices": CHOICES}
                    extras = more if number == len(parts) else {}
                    counted = {"part": number, "parts": len(parts)}
                    await channel.send(self.reply(part, hint=HINT, **counted, **extras))
                assert len(platform.calls) == len(parts)
                for call in platform.calls:
                    self.check_rendered(call)

    @asked_of(Paced)
    def test_its_pace_can_be_kept(self) -> None:
        """The same for the same reply, positive, and never more than the bucket holds."""
        for thread in self.threads():
            for text in ("Hello.", "Some words. " * 40):
                reply = self.reply(text, thread=thread)
                channel, other = self.connect(), self.connect()
                assert isinstance(channel, Paced)
                assert isinstance(other, Paced)
                tolls = list(channel.tolls(reply))
                assert tolls == list(channel.tolls(reply)) == list(other.tolls(reply))
                assert tolls, "a reply that costs nothing needs no pace"
                assert len({toll.bucket for toll in tolls}) == len(tolls)
                for toll in tolls:
                    assert toll.bucket
                    assert toll.per_second > 0
                    assert 0 < toll.amount <= toll.burst, "it could never be drawn"

    def _longer_than_one(self, piece: str) -> str:
        return piece * (self.channel.capabilities.max_text * 3 // len(piece) + 1)

    def _parts(self, channel: Channel, text: str, hint: str = "") -> list[str]:
        if isinstance(channel, Shaping):
            return list(channel.shape(text, hint=hint))
        capabilities = channel.capabilities
        return split(text, capabilities.max_text, capabilities.text_unit)

    def _says(self, read: Sequence[str], parts: Sequence[str], text: str) -> None:
        if self.channel.capabilities.formatting == "markdown":
            assert list(read) == list(parts)
            return
        wanted, found = (
            _letters("".join(render(part).text for part in parts)),
            _letters("".join(read)),
        )
        if self.channel.capabilities.formatting == "plain":
            # Addresses stand beside the words of a link, so that there may be more.
            rest = iter(found)
            assert all(letter in rest for letter in wanted), text
        else:
            assert found == wanted, text


def some_texts() -> list[str]:
    """Return answers of every kind, other ones each time."""
    found: list[str] = []

    @settings(
        max_examples=20,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(TEXTS)
    def collect(text: str) -> None:
        found.append(text)

    collect()
    return [*TRAPS, *found]


def _letters(text: str) -> str:
    """Return the letters and digits, without what a platform may fold: accents and widths."""
    folded = unicodedata.normalize("NFKD", re.sub(r"\s", "", text))
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LN" and c.isalnum())

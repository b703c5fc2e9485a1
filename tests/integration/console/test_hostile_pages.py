"""Every address and form of the console takes or refuses text that breaks careless servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlencode

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from coachline.foundation.ids import new_id
from fixtures.house import House
from integration.console.conftest import MakeBrowser
from integration.console.party import Party, gather

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

HOSTILE: Final = (
    "a\x00b",
    "\ufffe\uffff\U0001ffff",
    "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028",
    " \t\n\u00a0\u200b",
    "e" + "\u0301" * 5_000,
    "9" * 5_000,
    "<script>alert(1)</script>'\"; drop table turn; --",
)
# Pages whose forms are tried. What ends the session of who tries stands beside it.
PAGES: Final = (
    "/console/canned-replies",
    "/console/channels/new/telegram",
    "/console/channels/new/webhook",
    "/console/inbox",
    "/console/knowledge",
    "/console/monitors/new",
    "/console/overview",
    "/console/safety/settings",
    "/console/settings",
    "/console/settings/audit",
    "/console/settings/keys",
    "/console/settings/people",
    "/console/settings/people/provider",
    "/console/conversations/{conversation}",
    "/console/monitors/{endpoint}",
    "/console/monitors/{endpoint}/change",
)
ENDING: Final = ("sign-out", "/erase")


@dataclass
class FoundForm:
    """A form of a page: where it goes, how, and what its fields hold."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    typed: set[str] = field(default_factory=set)


class Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[FoundForm] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a form, or note a field of it."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            method = given.get("method", "get").lower()
            self.found.append(FoundForm(given.get("action", ""), method))
        elif tag in ("input", "textarea", "select", "button") and self.found and "name" in given:
            self.found[-1].fields[given["name"]] = given.get("value", "")
            is_typed = tag == "textarea" or given.get("type", "text") not in ("hidden", "file")
            if tag != "button" and is_typed:
                self.found[-1].typed.add(given["name"])


@pytest.fixture
async def party(house: House, browse: MakeBrowser) -> Party:
    """A tenant with a conversation and an endpoint."""
    made = await gather(house, browse, "hostile")
    await house.post(made.connected, str(new_id()), "Hello")
    await house.wait_replies(made.connected, 1)
    (talk,) = await house.services.transcripts.list_conversations(made.tenant_id)
    endpoint = await house.services.monitors.endpoints.add(
        made.tenant_id, "http://127.0.0.1:9/", actor="test"
    )
    made.ids |= {
        "conversation": str(talk.id),
        "learner": str(talk.learner_id),
        "endpoint": str(endpoint.endpoint.id),
    }
    return made


def addresses(house: House) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every page that is read, with the names of what may stand in its query."""
    for context in iter_route_contexts(house.app.routes):
        dependant, path = getattr(context, "dependant", None), str(context.path or "")
        if not isinstance(dependant, Dependant) or not path.startswith("/console"):
            continue
        names = tuple(one.alias for one in dependant.query_params)
        if "GET" in (context.methods or ()) and names and not path.endswith("/live"):
            yield path, names


async def test_no_address_breaks_a_page(house: House, party: Party) -> None:
    tried = 0
    for path, names in addresses(house):
        place = path
        for part in [part for part in path.split("/") if part.startswith("{")]:
            known = party.ids.get(part.strip("{}").removesuffix("_id"), str(new_id()))
            place = place.replace(part, known)
        for name in names:
            for words in HOSTILE:
                seen = await party.owner.get(f"{place}?{urlencode({name: words})}")
                assert seen.status < 500, (path, name, words[:20])
                assert "<script>alert(1)" not in seen.text, (path, name)
                tried += 1
    assert tried > 8 * len(HOSTILE)


@pytest.mark.parametrize("page", PAGES)
async def test_no_form_breaks_on_what_is_typed(party: Party, page: str) -> None:
    shown = await party.owner.get(party.at(page))
    assert shown.status == 200
    parser = Forms()
    parser.feed(shown.text)
    tried = 0
    for form in parser.found:
        if form.method != "post" or form.action.endswith(ENDING):
            continue
        for name in sorted(form.typed):
            for words in HOSTILE[:4]:
                typed = {**form.fields, name: words}
                typed.pop("csrf", None)
                seen = await party.owner.post(form.action or party.at(page), typed)
                assert seen.status < 500, (page, form.action, name, words[:20])
                tried += 1
    again = await party.owner.get(party.at(page))
    assert again.status == 200, "what was typed breaks the page itself"
    assert tried or page in ("/console/overview", "/console/inbox", "/console/settings/audit")

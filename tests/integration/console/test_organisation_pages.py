"""Overview, knowledge, channels and settings: who may, what is refused, what is never shown."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from coachline.foundation.ids import TenantId
from coachline.tenancy import Scope
from fixtures.console import Browser, Seen
from fixtures.gateway import Connected
from fixtures.house import House
from integration.console.conftest import MakeBrowser

pytestmark = pytest.mark.integration

ROLES: dict[str, tuple[Scope, ...]] = {"viewer": ("read",), "owner": ("admin",)}


@dataclass
class Party:
    """A tenant with a connection, a document and a browser of each role."""

    connected: Connected
    tenant_id: TenantId
    owner: Browser
    viewer: Browser
    document_id: str
    key_id: str


@pytest.fixture
async def mine(house: House, browse: MakeBrowser) -> Party:
    return await settle(house, browse, "mine")


@pytest.fixture
async def theirs(house: House, browse: MakeBrowser) -> Party:
    return await settle(house, browse, "theirs")


async def settle(house: House, browse: MakeBrowser, word: str) -> Party:
    connected = await house.connect(word)
    tenant = await house.services.tenants.get_by_name(connected.tenant)
    browsers = {}
    for role, scopes in ROLES.items():
        key = await house.services.keys.create(tenant.id, role, scopes, actor="test")
        browsers[role] = browse()
        await browsers[role].enter(key.secret)
    saved = await house.services.documents.save(
        tenant.id,
        source=f"{word}.md",
        text=f"# {word} document\n\nSleep eight hours.",
        media_type="text/markdown",
        actor="test",
    )
    return Party(
        connected,
        tenant.id,
        browsers["owner"],
        browsers["viewer"],
        str(saved.document_id),
        str(key.key.id),
    )


READ = (
    "/console/overview",
    "/console/overview?days=7",
    "/console/overview?days=90",
    "/console/knowledge",
    "/console/knowledge/list",
    "/console/knowledge?question=How+long+should+I+sleep%3F",
    "/console/knowledge/{document}",
    "/console/channels",
    "/console/channels/list",
    "/console/channels/{connection}",
    "/console/settings",
    "/console/settings/limits",
)
OWNER = (
    "/console/channels/new",
    "/console/channels/new/webhook",
    "/console/channels/{connection}/config",
    "/console/settings/keys",
    "/console/settings/audit",
    "/console/settings/audit?check=true",
    "/console/settings/audit?action=nothing.like.it",
)
FORMS = {
    "/console/knowledge/text": {"source": "x.md", "text": "Words."},
    "/console/knowledge/{document}/remove": {},
    "/console/channels/new/webhook": {
        "connection_name": "w2",
        "callback_url": "https://example.org/x",
    },
    "/console/channels/{connection}/config": {"callback_url": "https://example.org/x"},
    "/console/channels/{connection}/state": {"state": "disabled"},
    "/console/channels/{connection}/install": {},
    "/console/channels/{connection}/test": {"to": "somebody"},
    "/console/settings": {"persona": "x"},
    "/console/settings/preview": {"question": "x"},
    "/console/settings/keys": {"name": "x", "scopes": "read"},
    "/console/settings/keys/{key}/revoke": {},
}


def at(path: str, party: Party) -> str:
    return path.format(
        document=party.document_id, connection=party.connected.connection_id, key=party.key_id
    )


@pytest.mark.parametrize("path", [*READ, *OWNER])
async def test_an_owner_sees_every_page(mine: Party, path: str) -> None:
    seen = await mine.owner.get(at(path, mine))
    assert seen.status == 200, seen.text[:2_000]
    assert "style=" not in seen.text


@pytest.mark.parametrize("path", READ)
async def test_a_viewer_reads(mine: Party, path: str) -> None:
    assert (await mine.viewer.get(at(path, mine))).status == 200


@pytest.mark.parametrize("path", OWNER)
async def test_a_viewer_sees_nothing_of_the_owners(mine: Party, path: str) -> None:
    assert (await mine.viewer.get(at(path, mine))).status == 403


@pytest.mark.parametrize("path", FORMS)
async def test_a_viewer_changes_nothing(mine: Party, path: str) -> None:
    assert (await mine.viewer.post(at(path, mine), FORMS[path])).status == 403


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_of_another_session_changes_nothing(
    mine: Party, theirs: Party, path: str
) -> None:
    for csrf in ("0" * 64, theirs.owner.csrf):
        assert (await mine.owner.post(at(path, mine), FORMS[path], csrf=csrf)).status == 403
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    seen = await mine.owner.post(at(path, mine), FORMS[path], headers=foreign)
    assert seen.status == 403


@pytest.mark.parametrize("path", [path for path in (*READ, *OWNER, *FORMS) if "{" in path])
async def test_what_is_another_tenants_is_not_there(mine: Party, theirs: Party, path: str) -> None:
    if path in FORMS:
        seen = await mine.owner.post(at(path, theirs), FORMS[path])
        assert seen.status == 404
    if path not in FORMS or path.endswith("config"):
        assert (await mine.owner.get(at(path, theirs))).status == 404


async def test_lists_show_what_is_ones_own(mine: Party, theirs: Party) -> None:
    knowledge = await mine.owner.get("/console/knowledge")
    assert "mine.md" in knowledge.text
    assert "theirs.md" not in knowledge.text
    found = await mine.owner.get("/console/knowledge?question=Sleep+eight+hours")
    assert "theirs" not in found.text
    channels = await mine.owner.get("/console/channels")
    assert mine.connected.connection_id in channels.text
    assert theirs.connected.connection_id not in channels.text
    audit = await mine.owner.get("/console/settings/audit")
    assert theirs.connected.connection_id not in audit.text


@pytest.mark.parametrize(
    "path",
    ["/console/overview?days=8", "/console/overview?days=x", "/console/knowledge/x"],
)
async def test_what_makes_no_sense_is_refused_as_a_page(mine: Party, path: str) -> None:
    seen = await mine.owner.get(path)
    assert seen.status == 422
    assert seen.headers["Content-Type"].startswith("text/html")


def secret_in(seen: Seen, pattern: str) -> str:
    found = re.search(pattern, seen.text)
    assert found is not None, seen.text[:3_000]
    return found[0]


async def test_a_webhook_is_connected_and_its_secret_shown_once(house: House, mine: Party) -> None:
    form = {"connection_name": "second", "callback_url": f"{house.receiver.url}/second"}
    seen = await mine.owner.post("/console/channels/new/webhook", form)
    assert seen.status == 200
    secret = secret_in(seen, r"whsec_[A-Za-z0-9+/=]{20,}")
    made = await house.services.connections.find_named(mine.tenant_id, "second")
    assert made is not None
    assert f"/webhooks/{made.id}" in seen.text
    for path in (
        "/console/channels",
        f"/console/channels/{made.id}",
        f"/console/channels/{made.id}/config",
    ):
        assert secret not in (await mine.owner.get(path)).text


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"connection_name": "-bad"}, "connection_name", "beginning with a letter"),
        ({"connection_name": "webhook"}, "connection_name", "already"),
        ({"callback_url": "nowhere"}, "callback_url", "URL"),
        ({"callback_url": ""}, "callback_url", "equired"),
        ({"secrets": "whsec_short"}, "secrets", ""),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(
    mine: Party, changed: dict[str, str], field: str, says: str
) -> None:
    form = {"connection_name": "typed name", "callback_url": "https://typed.example/x"} | changed
    seen = await mine.owner.post("/console/channels/new/webhook", form)
    assert seen.status in (409, 422)
    fault = re.search(rf'<p class="fault" id="{field}-fault">(.+?)</p>', seen.text)
    assert fault is not None, seen.text
    assert says in fault[1]
    assert f'value="{form["connection_name"]}"' in seen.text
    if "callback_url" not in changed:
        assert 'value="https://typed.example/x"' in seen.text


async def test_a_secret_that_was_typed_does_not_come_back(mine: Party) -> None:
    form = {
        "connection_name": "bad name!",
        "token": "123456789:AAE-secret-secret",
        "webhook_secret": "0123456789abcdef-secret",
    }
    seen = await mine.owner.post("/console/channels/new/telegram", form)
    assert seen.status == 422
    assert "secret-secret" not in seen.text
    assert "0123456789abcdef" not in seen.text


async def test_a_connection_is_closed_and_opened(house: House, mine: Party) -> None:
    path = f"/console/channels/{mine.connected.connection_id}"
    for state, shown in (("disabled", "closed"), ("active", "open")):
        assert (await mine.owner.post(f"{path}/state", {"state": state})).status == 303
        assert shown in (await mine.owner.get(path)).text
    assert (await mine.owner.post(f"{path}/state", {"state": "gone"})).status == 422


async def test_a_test_message_is_sent_and_a_refused_one_says_why(house: House, mine: Party) -> None:
    path = f"/console/channels/{mine.connected.connection_id}"
    seen = await mine.owner.post(f"{path}/test", {"to": "thread-1", "text": "Can you hear me?"})
    assert seen.status == 303
    assert "Can you hear me?" in house.replies(mine.connected)
    seen = await mine.owner.post(f"{path}/test", {"to": " ", "text": "kept words"})
    assert seen.status >= 400
    assert "kept words" in seen.text
    assert 'id="to-fault"' in seen.text


async def test_a_key_is_made_shown_once_and_revoked(house: House, mine: Party) -> None:
    form = {"name": "for the shop", "scopes": "read", "expires_on": "2099-12-31"}
    seen = await mine.owner.post("/console/settings/keys", form)
    secret = secret_in(seen, r"cl_[0-9A-Za-z]{60}")
    assert secret not in (await mine.owner.get("/console/settings/keys")).text
    (key,) = [
        key for key in await house.services.keys.list(mine.tenant_id) if key.name == "for the shop"
    ]
    assert key.expires_at is not None
    assert key.expires_at.isoformat() == "2100-01-01T00:00:00+00:00"
    assert (await mine.owner.post(f"/console/settings/keys/{key.id}/revoke")).status == 303
    assert (await mine.owner.post(f"/console/settings/keys/{key.id}/revoke")).status == 404


@pytest.mark.parametrize(
    "form",
    [
        {"name": "", "scopes": "read"},
        {"name": "n", "scopes": "everything"},
        {"name": "typed here"},
        {"name": "typed here", "scopes": "read", "expires_on": "2001-01-01"},
        {"name": "typed here", "scopes": "read", "expires_on": "soon"},
        {"name": "typed\x00here", "scopes": "read"},
        {"name": "x" * 101, "scopes": "read"},
    ],
)
async def test_a_key_that_cannot_be_made_says_why(mine: Party, form: dict[str, str]) -> None:
    seen = await mine.owner.post("/console/settings/keys", form)
    assert seen.status == 422
    assert 'id="key-fault"' in seen.text
    assert not re.search(r"cl_[0-9A-Za-z]{60}", seen.text)


async def profile_form(mine: Party, **changed: str) -> dict[str, str]:
    """What a browser sends of the form as it is, with some fields changed."""
    page = (await mine.owner.get("/console/settings")).text
    form = dict(
        re.findall(r'<input id="(\w+)" name="\w+" type="(?:text|number)" value="([^"]*)"', page)
    )
    form |= dict(re.findall(r'<textarea id="(\w+)"[^>]*>\n([^<]*)</textarea>', page))
    return form | changed


async def test_the_bot_is_changed_and_only_what_differs(house: House, mine: Party) -> None:
    form = await profile_form(mine, persona="You run marathons.", time_zone="Asia/Kolkata")
    assert (await mine.owner.post("/console/settings", form)).status == 303
    profile = await house.services.tenants.profile(mine.tenant_id)
    assert (profile.persona, profile.time_zone) == ("You run marathons.", "Asia/Kolkata")
    async with house.services.database.tenant(mine.tenant_id) as session:
        (entry,) = await house.services.audit.list(session, action="tenant.configure")
    assert entry.details == {"fields": "persona time_zone"}
    assert entry.actor.startswith("key:")
    form = await profile_form(mine)
    assert (await mine.owner.post("/console/settings", form)).status == 303


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Mars/Olympus"),
        ("language", "klingon-and-more-and-more"),
        ("display_name", ""),
        ("chat_model", "not a model!"),
        ("fallback_models", "good:1b\nnot a model!"),
        ("persona", "NUL \x00 inside"),
    ],
)
async def test_a_profile_that_cannot_be_says_so_at_the_field(
    mine: Party, field: str, value: str
) -> None:
    form = await profile_form(mine, **{"persona": "typed persona", field: value})
    seen = await mine.owner.post("/console/settings", form)
    assert seen.status == 422
    assert f'id="{field}-fault"' in seen.text
    if field != "persona":
        assert "typed persona" in seen.text


async def test_the_prompt_is_shown_with_what_is_typed_and_nothing_is_saved(
    house: House, mine: Party
) -> None:
    form = await profile_form(mine, persona="You <b>whisper</b>.", question="How do I sleep?")
    seen = await mine.owner.post("/console/settings/preview", form)
    assert seen.status == 200
    assert "You &lt;b&gt;whisper&lt;/b&gt;." in seen.text
    assert "How do I sleep?" in seen.text
    assert (await house.services.tenants.profile(mine.tenant_id)).persona == ""


async def test_a_changed_audit_log_is_found(house: House, mine: Party) -> None:
    seen = await mine.owner.get("/console/settings/audit?check=true")
    assert "entries are as they were written" in seen.text
    assert re.search(r"<code data-copy-text>[0-9a-f]{64}</code>", seen.text)

"""A tenant with a browser of each role, and what every page of the console is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from coachline.foundation.ids import TenantId
from coachline.tenancy import Scope
from fixtures.console import Browser
from fixtures.gateway import Connected
from fixtures.house import House
from integration.console.conftest import MakeBrowser

SCOPES: Mapping[str, tuple[Scope, ...]] = {
    "owner": ("admin",),
    "coach": ("read", "coach", "knowledge"),
    "viewer": ("read",),
}
HOSTILE = "<script>alert(1)</script><b>\u202e"


@dataclass
class Party:
    """A tenant. ``ids`` are put into paths by their names."""

    house: House
    connected: Connected
    tenant_id: TenantId
    browsers: dict[str, Browser]
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> Browser:
        """Who does everything."""
        return self.browsers["owner"]

    def at(self, path: str) -> str:
        """A path with this party's ids."""
        return path.format(**self.ids)


async def gather(house: House, browse: MakeBrowser, word: str) -> Party:
    """A new tenant with a browser of each role."""
    connected = await house.connect(word)
    tenant = await house.services.tenants.get_by_name(connected.tenant)
    browsers = {}
    for role, scopes in SCOPES.items():
        key = await house.services.keys.create(tenant.id, role, scopes, actor="test")
        browsers[role] = browse()
        assert (await browsers[role].enter(key.secret)).status == 303
    return Party(house, connected, tenant.id, browsers)


async def assert_only_own_forms(
    party: Party, other: Party, path: str, form: dict[str, str]
) -> None:
    """Fail if a form is taken that is not one of this session's pages."""
    place = party.at(path)
    for csrf in ("0" * 64, other.owner.csrf):
        assert (await party.owner.post(place, form, csrf=csrf)).status == 403
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await party.owner.post(place, form, headers=foreign)).status == 403

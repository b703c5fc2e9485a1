"""The text of an API key says whose it is, and refuses typing errors by itself."""

from __future__ import annotations

import string
from uuid import UUID

from hypothesis import assume, given
from hypothesis import strategies as st

from coachline.foundation.ids import TenantId, new_id
from coachline.tenancy import tokens
from coachline.tenancy.tokens import digest_token, find_tenant_id, make_token

LETTERS = string.ascii_letters + string.digits


@given(tenant=st.uuids())
def test_a_token_names_its_tenant(tenant: UUID) -> None:
    tenant_id = TenantId(tenant)
    token = make_token(tenant_id)
    assert token.startswith("cl_")
    assert len(token) == 63
    assert find_tenant_id(token) == tenant_id


@given(position=st.integers(3, 62), letter=st.sampled_from(LETTERS))
def test_one_wrong_letter_is_refused(position: int, letter: str) -> None:
    token = make_token(TenantId(new_id()))
    assume(token[position] != letter)
    assert find_tenant_id(token[:position] + letter + token[position + 1 :]) is None


@given(text=st.text(max_size=80))
def test_any_other_text_is_refused(text: str) -> None:
    assert find_tenant_id(text) is None
    assert find_tenant_id("cl_" + text) is None


def test_a_line_end_or_a_number_too_large_is_refused() -> None:
    token = make_token(TenantId(new_id()))
    assert find_tenant_id(token + "\n") is None
    assert find_tenant_id("cl_" + "z" * 60) is None


def test_tokens_of_one_tenant_differ_and_so_do_their_digests() -> None:
    tenant_id = TenantId(new_id())
    tokens = {make_token(tenant_id) for _ in range(100)}
    assert len(tokens) == 100
    assert len({digest_token(token) for token in tokens}) == 100


def test_a_checksum_alone_does_not_make_a_number_that_fits() -> None:
    """A well-summed body above 256**40 is refused, not wrapped or raised."""
    for body in ("z" * 54, tokens._encode(256**40, 54)):
        head = "cl_" + body
        assert find_tenant_id(head + tokens._checksum(head)) is None


def test_the_largest_token_names_its_tenant() -> None:
    head = "cl_" + tokens._encode(256**40 - 1, 54)
    assert find_tenant_id(head + tokens._checksum(head)) == UUID(int=2**128 - 1)


def test_a_checksum_alone_makes_no_token() -> None:
    body = make_token(TenantId(new_id()))[3:57]
    for head in (
        f"cs_{body}",
        f"cl_{body[:-1]}",
        f"cl_{body}0",
        f"cl_{body[:-1]}-",
        f"cl_{body[:-1]}é",
        body,
    ):
        assert find_tenant_id(head + tokens._checksum(head)) is None

"""A secret opens only in the cell it was sealed for, and keys rotate without a stop."""

from __future__ import annotations

import base64
import os
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachline.foundation.errors import SettingsInvalid
from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.seal import Seal, SealBroken, parse_master_keys

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


class Cell(NamedTuple):
    """The address of one stored secret."""

    tenant_id: TenantId
    table: str
    row: UUID
    column: str


# Names of tables and columns are ours: any text that UTF-8 can spell will do.
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
CELLS = st.builds(Cell, st.uuids().map(TenantId), NAMES, st.uuids(), NAMES)


def make_cell() -> Cell:
    return Cell(TenantId(new_id()), "connection", new_id(), "config")


@given(plaintext=st.binary(max_size=200), cell=CELLS)
def test_what_was_sealed_opens_again(plaintext: bytes, cell: Cell) -> None:
    seal = Seal({"a": OLD}, "a")
    sealed = seal.seal(plaintext, **cell._asdict())
    assert seal.open(sealed, **cell._asdict()) == plaintext


@given(here=CELLS, there=CELLS)
def test_a_sealed_value_moved_to_another_cell_does_not_open(here: Cell, there: Cell) -> None:
    seal = Seal({"a": OLD}, "a")
    sealed = seal.seal(b"bot-token", **here._asdict())
    if here == there:
        return
    with pytest.raises(SealBroken):
        seal.open(sealed, **there._asdict())


HERE = make_cell()


@pytest.mark.parametrize(
    "there",
    [
        HERE._replace(tenant_id=TenantId(new_id())),
        HERE._replace(row=new_id()),
        HERE._replace(table="connectio", column="nconfig"),
        HERE._replace(table="connection_route"),
        HERE._replace(column="secrets"),
    ],
    ids=["tenant", "row", "shifted-boundary", "table", "column"],
)
def test_each_part_of_the_address_binds(there: Cell) -> None:
    seal = Seal({"a": OLD}, "a")
    sealed = seal.seal(b"secret", **HERE._asdict())
    with pytest.raises(SealBroken):
        seal.open(sealed, **there._asdict())


@given(data=st.data())
def test_any_changed_bit_is_noticed(data: st.DataObject) -> None:
    seal = Seal({"a": OLD}, "a")
    cell = make_cell()
    sealed = bytearray(seal.seal(b"secret", **cell._asdict()))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealBroken):
        seal.open(bytes(sealed), **cell._asdict())


@given(data=st.binary(max_size=100))
def test_garbage_is_refused_and_never_current(data: bytes) -> None:
    seal = Seal({"a": OLD}, "a")
    with pytest.raises(SealBroken):
        seal.open(data, **make_cell()._asdict())
    assert not seal.is_current(data) or data.startswith(b"\x01\x01a")


def test_every_cut_is_refused() -> None:
    seal = Seal({"a": OLD}, "a")
    cell = make_cell()
    sealed = seal.seal(b"secret", **cell._asdict())
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            seal.open(sealed[:length], **cell._asdict())


def test_sealing_twice_gives_different_bytes_without_the_plaintext() -> None:
    seal = Seal({"a": OLD}, "a")
    cell = make_cell()
    first, second = (seal.seal(b"a-long-secret", **cell._asdict()) for _ in range(2))
    assert first != second
    assert b"a-long-secret" not in first


def test_rotation_keeps_old_values_readable_and_reseals_them() -> None:
    cell = make_cell()
    before = Seal({"old": OLD}, "old").seal(b"secret", **cell._asdict())
    during = Seal({"old": OLD, "new": NEW}, "new")
    assert not during.is_current(before)
    assert during.open(before, **cell._asdict()) == b"secret"
    after = during.reseal(before, **cell._asdict())
    assert during.is_current(after)
    assert during.reseal(after, **cell._asdict()) == after
    alone = Seal({"new": NEW}, "new")
    assert alone.open(after, **cell._asdict()) == b"secret"
    with pytest.raises(SealBroken, match="not configured"):
        alone.open(before, **cell._asdict())


def test_a_key_of_the_same_name_but_other_bytes_opens_nothing() -> None:
    cell = make_cell()
    sealed = Seal({"a": OLD}, "a").seal(b"secret", **cell._asdict())
    with pytest.raises(SealBroken):
        Seal({"a": NEW}, "a").open(sealed, **cell._asdict())


def test_the_first_key_of_the_setting_seals() -> None:
    old, new = (base64.b64encode(key).decode() for key in (OLD, NEW))
    seal = parse_master_keys(f"2026-11:{new}, 2026-05:{old}")
    cell = make_cell()
    sealed = seal.seal(b"secret", **cell._asdict())
    assert Seal({"2026-11": NEW}, "2026-11").open(sealed, **cell._asdict()) == b"secret"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "id:base64"),
        ("c2VjcmV0", "id:base64"),
        ("a:***", "base64"),
        ("a:c2VjcmV0", "32 bytes"),
        ("a b:" + base64.b64encode(OLD).decode(), "id is"),
        (",".join(["a:" + base64.b64encode(OLD).decode()] * 2), "earlier"),
    ],
)
def test_a_wrong_setting_is_named_without_showing_the_key(text: str, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=message) as caught:
        parse_master_keys(text)
    assert "c2VjcmV0" not in caught.value.message
    assert base64.b64encode(OLD).decode() not in caught.value.message


def test_an_active_key_that_is_missing_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="active"):
        Seal({"a": OLD}, "b")


def test_the_seal_shows_no_key() -> None:
    assert repr(Seal({"a": OLD}, "a")) == "Seal(keys=['a'], active='a')"


def test_a_mark_is_known_again_under_every_key_and_says_nothing_without_one() -> None:
    tenant, other = TenantId(new_id()), TenantId(new_id())
    old, new = os.urandom(32), os.urandom(32)
    before = Seal({"k1": old}, "k1")
    after = Seal({"k1": old, "k2": new}, "k2")
    kept = before.marks("+15557650001", tenant_id=tenant, purpose="sender")[0]
    marks = after.marks("+15557650001", tenant_id=tenant, purpose="sender")
    assert marks[1] == kept != marks[0]
    assert (
        marks[0]
        == Seal({"k2": new}, "k2").marks("+15557650001", tenant_id=tenant, purpose="sender")[0]
    ), "the active key's stands first"
    others = [
        after.marks("+15557650002", tenant_id=tenant, purpose="sender"),
        after.marks("+15557650001", tenant_id=other, purpose="sender"),
        after.marks("+15557650001", tenant_id=tenant, purpose="event"),
    ]
    assert not set(marks) & {mark for found in others for mark in found}

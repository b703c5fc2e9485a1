"""What must be true of every schedule, while it runs and when everything came to rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from uuid import UUID

from faults.simulation.platforms import Platform, Shown
from faults.simulation.schedules import Kind
from faults.simulation.store import Change, Transaction, Values
from faults.simulation.world import World

_FINAL = frozenset({"answered", "recorded", "refused", "parked", "commanded"})


class EpochWatch:
    """Watches commits: what a turn writes is written by the one holder of the current epoch."""

    def __init__(self, world: World) -> None:
        self.problems: list[str] = []
        self._store = world.store
        self._holders: dict[tuple[UUID, int], Hashable] = {}
        world.store.on_commit.append(self._look)

    def _look(self, transaction: Transaction, changes: list[Change]) -> None:
        # A row that is claimed in the same transaction counts as its claim left it.
        rows = {change.after["id"]: change.after for change in changes}
        for change in changes:
            if change.table == "conversation":
                self._look_at_claim(transaction, change)
        for change in changes:
            if _is_turns_work(change):
                self._look_at_work(transaction, change, rows)

    def _look_at_claim(self, transaction: Transaction, change: Change) -> None:
        before = change.before["epoch"] if change.before else 0
        after = change.after["epoch"]
        if after == before:
            return
        if after != before + 1:
            self.problems.append(f"an epoch went from {before} to {after}")
        key = change.after["id"], after
        if key in self._holders:
            self.problems.append(f"epoch {after} was claimed twice")
        self._holders[key] = transaction.owner

    def _look_at_work(
        self, transaction: Transaction, change: Change, rows: dict[UUID, Values]
    ) -> None:
        conversation_id = change.after["conversation_id"]
        row = rows.get(conversation_id) or self._store.tables["conversation"][conversation_id]
        holder = self._holders.get((conversation_id, row["epoch"]))
        if holder is not transaction.owner or row["state"] != "running":
            self.problems.append(
                f"{transaction.owner} wrote {change.table} under epoch {row['epoch']} of {holder}"
            )


def _is_turns_work(change: Change) -> bool:
    """Whether only the holder of a conversation may do that."""
    if change.table == "turn":
        is_saved = change.after["state"] == "saved"
        return change.before is None or (is_saved and change.before["state"] != "saved")
    if change.table == "outbox_reply":
        return change.before is None or change.after["attempts"] > change.before["attempts"]
    return False


def judge(world: World) -> list[str]:
    """What is wrong when everything came to rest; nothing when all is well."""
    problems = list(world.problems)
    problems += _judge_rows(world)
    for number, platform in enumerate(world.platforms):
        replies = _replies_of(world, number)
        kind = world.schedule.kinds[number]
        problems += [f"{kind}: {problem}" for problem in _judge_replies(replies, kind, platform)]
        problems += [f"{kind}: {problem}" for problem in _judge_answers(world, number, replies)]
    return problems


def _judge_rows(world: World) -> Iterator[str]:
    tables = world.store.tables
    for turn in tables["turn"].values():
        if turn["state"] == "running":
            yield f"turn {turn['id']} was never closed"
    for event in tables["inbox_event"].values():
        if event["state"] not in _FINAL:
            yield f"event {event['external_id']} is in no final state but {event['state']}"
    for row in tables["conversation"].values():
        if row["state"] != "idle" or row["bell"] is not None:
            yield f"conversation {row['id']} is {row['state']} with bell {row['bell']}"
    if len(world.store.locks) or world.store.open:
        yield f"{len(world.store.locks)} locks and {len(world.store.open)} transactions are left"


def _replies_of(world: World, tenant: int) -> list[Values]:
    rows = world.store.tables["outbox_reply"].values()
    mine = (row for row in rows if row["tenant_id"] == world.tenants[tenant])
    return sorted(mine, key=lambda row: (row["conversation_id"], row["seq"]))


def _judge_replies(replies: list[Values], kind: Kind, platform: Platform) -> Iterator[str]:
    shown = [message for message in platform.messages if not message.is_gone]
    by_reply: dict[str | None, list[tuple[int, Shown]]] = {}
    for place, message in enumerate(shown):
        by_reply.setdefault(message.reply_id, []).append((place, message))
    last: dict[UUID, int] = {}
    for reply in replies:
        seen = by_reply.pop(str(reply["id"]), [])
        if len(seen) > 1:
            yield f"reply {reply['seq']} is shown {len(seen)} times"
        if reply["state"] == "unknown" and kind == "blind":
            continue
        if reply["state"] != "sent":
            yield f"reply {reply['seq']} is {reply['state']}: {reply['problem']}"
        if not seen:
            yield f"reply {reply['seq']} is {reply['state']} and not shown"
            continue
        place, message = seen[0]
        if message.text != reply["text"]:
            yield f"reply {reply['seq']} is shown as something else"
        if place < last.get(reply["conversation_id"], -1):
            yield f"reply {reply['seq']} is shown out of order"
        last[reply["conversation_id"]] = place
    by_reply.pop(None, None)
    for reply_id in by_reply:
        yield f"something is shown that is no reply: {reply_id}"


def _judge_answers(world: World, tenant: int, replies: list[Values]) -> Iterator[str]:
    events = world.store.tables["inbox_event"].values()
    mine = [row for row in events if row["tenant_id"] == world.tenants[tenant]]
    stored = Counter(row["external_id"] for row in mine)
    answered: Counter[str] = Counter()
    for reply in replies:
        if reply["part"] == 1:
            answered.update(reply["in_reply_to"])
    for message in world.schedule.messages:
        if message.tenant != tenant:
            continue
        if stored[message.external_id] != 1:
            yield f"message {message.external_id} is stored {stored[message.external_id]} times"
        if answered[message.external_id] != 1:
            yield f"message {message.external_id} has {answered[message.external_id]} answers"
    yield from _judge_order(mine, replies)


def _judge_order(events: list[Values], replies: list[Values]) -> Iterator[str]:
    """What came first is answered first; an edit goes with what it changes."""
    places = {row["external_id"]: row["seq"] for row in events if row["kind"] == "message"}
    last: dict[UUID, int] = {}
    for reply in replies:
        if reply["part"] != 1:
            continue
        seqs = [places[name] for name in reply["in_reply_to"] if name in places]
        conversation_id = reply["conversation_id"]
        if seqs and min(seqs) < last.get(conversation_id, 0):
            yield f"reply {reply['seq']} answers what came before the last answer"
        last[conversation_id] = max([last.get(conversation_id, 0), *seqs])

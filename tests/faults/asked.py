"""What was asked in a run of kills, and what every ledger says became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from coachline_lab import Asked, Ledger
from lab.callback_receiver import CallbackReceiver

WRONG = ("lost", "duplicate", "disordered", "foreign")
"""What must not be. A ``stray`` message is told and forgiven: a placeholder of a crash."""


@dataclass
class Questions:
    """Every question, in the order in which it was asked in its thread."""

    by_platform: dict[str, list[Asked]] = field(default_factory=lambda: defaultdict(list))
    by_hook: dict[str, dict[str, list[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """Of webhooks: path, thread, message ids."""
    count: int = 0

    def ask(self, platform: str, thread: str, marker: str, account: str) -> None:
        """Note a question on a platform of the lab."""
        self.by_platform[platform].append(Asked(thread, marker, account))
        self.count += 1

    def ask_hook(self, path: str, thread: str, message_id: str) -> None:
        """Note a question that was posted to a webhook."""
        self.by_hook[path][thread].append(message_id)
        self.count += 1


@dataclass(frozen=True)
class Judged:
    """What is wrong, by kind: the questions and messages themselves, in words."""

    found: dict[str, list[str]]

    def count(self, kind: str) -> int:
        """How many there are of a kind."""
        return len(self.found[kind])

    @property
    def is_met(self) -> bool:
        """Whether nothing is lost, doubled, out of order or in a foreign place."""
        return not any(self.found[kind] for kind in WRONG)

    def __str__(self) -> str:
        return ", ".join(f"{len(found)} {kind}" for kind, found in self.found.items())


def judge(questions: Questions, ledgers: Iterable[Ledger], receiver: CallbackReceiver) -> Judged:
    """Compare everything that was asked with everything that is shown."""
    found: dict[str, list[str]] = {kind: [] for kind in (*WRONG, "stray")}
    for ledger in ledgers:
        verdict = ledger.judge(questions.by_platform[ledger.platform])
        for kind in WRONG[:-1]:
            found[kind] += [
                f"{ledger.platform} {one.account} {one.thread}: {one.marker}"
                for one in getattr(verdict, kind)
            ]
        for kind in ("foreign", "stray"):
            found[kind] += [
                f"{ledger.platform} {one.account} {one.thread}: message {one.message_id}"
                for one in getattr(verdict, kind)
            ]
    for path, expected in questions.by_hook.items():
        told = receiver.judge(expected, path=path)
        found["lost"] += [f"webhook {path}: {one}" for one in told.lost]
        found["duplicate"] += [
            f"webhook {path}: {one}" for one in (*told.duplicated, *told.changed)
        ]
        found["disordered"] += [f"webhook {path}: {one}" for one in told.disordered]
        found["foreign"] += [f"webhook {path}: {one}" for one in told.foreign]
    return Judged(found)

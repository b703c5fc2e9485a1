"""A burst of events made one: edits and deletions folded in, kinds told apart. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from channel_kit import EventKind
from coachline.foundation.ids import EventId
from coachline.messaging import Original, QueuedEvent

AMEND_WITHIN: Final = timedelta(minutes=15)

_SAID: Final = frozenset({EventKind.MESSAGE, EventKind.COMMAND, EventKind.BUTTON})

_PASSING: Final = frozenset({EventKind.DELETE, EventKind.REACTION, EventKind.UNSUPPORTED})


@dataclass(frozen=True, slots=True)
class Burst:
    """What the events of a turn come to.

    ``said`` is what was written or pressed, in order and as it reads now. ``erased`` are the
    platform's ids of messages that were deleted. ``is_correction`` says that an answered message
    is said anew. ``notes`` are reasons for whatever comes to nothing.
    """

    said: tuple[QueuedEvent, ...] = ()
    consents: tuple[QueuedEvent, ...] = ()
    unsupported: tuple[QueuedEvent, ...] = ()
    erased: tuple[str, ...] = ()
    is_opened: bool = False
    is_correction: bool = False
    passed: tuple[EventId, ...] = ()
    notes: tuple[str, ...] = ()


def list_changed(events: Sequence[QueuedEvent]) -> list[str]:
    """Return the platform's ids of the earlier messages that events of the burst edit."""
    here = {event.external_id for event in events if event.kind in _SAID}
    return [
        event.reply_to
        for event in events
        if event.kind is EventKind.EDIT and event.reply_to and event.reply_to not in here
    ]


def fold(events: Sequence[QueuedEvent], originals: Mapping[str, Original]) -> Burst:
    """Return what ``events`` (in their order) come to.

    An edit of a message of the burst replaces it, whichever came first. One of an answered message
    is said anew if that was the learner's newest and is at most :data:`AMEND_WITHIN` old, and once.
    A deletion takes the message away.

    Args:
        events: the burst.
        originals: the earlier messages that edits are about, by the platform's id.
    """
    edits = _newest_edits(events)
    erased = {e.reply_to for e in events if e.kind is EventKind.DELETE and e.reply_to}
    here = {event.external_id for event in events if event.kind in _SAID}
    said: list[QueuedEvent] = []
    notes: list[str] = []
    passed = [event.id for event in events if event.kind in _PASSING]
    is_correction = False
    for event in events:
        if event.kind in _SAID:
            if event.external_id in erased:
                notes.append("deleted before it was answered")
                passed.append(event.id)
                continue
            said.append(_edited(event, edits.get(event.external_id)))
        elif event.kind is EventKind.EDIT and event.reply_to not in here:
            reason = (
                _ignored(event, edits, originals) if event.reply_to not in erased else "deleted"
            )
            if reason is None:
                is_correction = True
                said.append(event)
            else:
                notes.append(f"edit: {reason}")
                passed.append(event.id)
    folded = sum(event.kind is EventKind.EDIT and event.reply_to in here for event in events)
    if folded:
        notes.append(f"{folded} edits folded in")
    return Burst(
        said=tuple(event for event in said if _says_something(event)),
        consents=tuple(e for e in events if e.kind is EventKind.CONSENT),
        unsupported=tuple(e for e in events if e.kind is EventKind.UNSUPPORTED),
        erased=tuple(sorted(erased)),
        is_opened=any(event.kind is EventKind.OPENED for event in events),
        is_correction=is_correction,
        passed=tuple(passed),
        notes=tuple(notes),
    )


def _says_something(event: QueuedEvent) -> bool:
    # A platform's own command may come without a word behind it: it asks for help.
    return bool(event.text.strip() or event.attachments or event.kind is EventKind.COMMAND)


def _newest_edits(events: Sequence[QueuedEvent]) -> dict[str, QueuedEvent]:
    edits: dict[str, QueuedEvent] = {}
    for event in sorted(events, key=lambda e: (e.occurred_at, e.seq)):
        if event.kind is EventKind.EDIT and event.reply_to:
            edits[event.reply_to] = event
    return edits


def _edited(event: QueuedEvent, edit: QueuedEvent | None) -> QueuedEvent:
    if edit is None:
        return event
    return replace(event, text=edit.text, attachments=edit.attachments or event.attachments)


def _ignored(
    event: QueuedEvent, edits: Mapping[str, QueuedEvent], originals: Mapping[str, Original]
) -> str | None:
    """Why an edit of an earlier message is not answered; None when it is."""
    target = event.reply_to or ""
    original = originals.get(target)
    if original is None:
        return "of an unknown message"
    checks = (
        (edits.get(target) is not event, "a newer edit came"),
        (original.state != "answered", f"of a message that was {original.state}"),
        (original.is_amended, "answered anew before"),
        (original.text.strip() == event.text.strip(), "the words are the same"),
        (not original.is_newest, "not the newest message"),
        (event.occurred_at - original.occurred_at > AMEND_WITHIN, "too late"),
    )
    return next((reason for is_so, reason in checks if is_so), None)

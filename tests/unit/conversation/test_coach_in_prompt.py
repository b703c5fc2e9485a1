"""What the model is told of a human coach: who said what, that they left, and what they noted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from coachline.conversation.coach_marks import list_markers, without_marks
from coachline.conversation.history import as_chat
from coachline.conversation.prompt import PromptParts, build_prompt
from coachline.conversation.wording import Wording
from coachline.foundation.ids import ConversationId, TakeoverId, new_id
from coachline.inference import ChatMessage
from coachline.messaging import Message, Takeover

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PARTS = PromptParts(
    speaker="Mira",
    persona="",
    learner_name=None,
    language="en",
    local_time=NOON,
    time_zone="UTC",
    question="And now?",
)


def taken(**values: object) -> Takeover:
    usual = Takeover(
        id=TakeoverId(new_id()),
        conversation_id=ConversationId(new_id()),
        actor="staff:eva",
        name="Eva",
        taken_at=NOON,
        until=NOON + timedelta(minutes=30),
    )
    return replace(usual, **values)  # type: ignore[arg-type]  # named by each test


def test_a_takeover_that_lasts_has_only_its_beginning() -> None:
    assert [marker.kind for marker in list_markers([taken()])] == ["took_over"]


def test_the_hand_back_says_that_the_bot_answers_again_and_what_the_coach_noted() -> None:
    ended = taken(ended_at=NOON + timedelta(minutes=5), end="handed_back", note="Ask (gently).")
    came, left = list_markers([ended])
    assert (came.at, left.at) == (NOON, NOON + timedelta(minutes=5))
    assert "Eva joined" in came.text
    assert "From here on I answer again." in left.text
    assert left.text.endswith("Their note to me: Ask [gently].)") or "Ask [gently]." in left.text


@pytest.mark.parametrize("end", ["handed_back", "lapsed"])
def test_markers_of_several_coaches_are_in_order(end: str) -> None:
    first = taken(ended_at=NOON + timedelta(minutes=1), end="forced")
    second = taken(
        name="Jan",
        taken_at=NOON + timedelta(minutes=1),
        ended_at=NOON + timedelta(minutes=9),
        end=end,
    )
    told = [(marker.kind, "Jan" in marker.text) for marker in list_markers([second, first])]
    assert told == [("took_over", False), ("took_over", True), ("handed_back", True)]


def test_a_coach_speaks_on_the_assistants_side_and_under_their_own_mark() -> None:
    line = Message(
        id=new_id(), seq=1, author="coach", kind="reply", text="Hi, Eva here", at=NOON, state="sent"
    )
    assert as_chat(line) == ChatMessage("assistant", "(the human coach wrote:) Hi, Eva here")


def test_the_prompt_tells_the_model_to_go_on_and_not_to_be_silent() -> None:
    ended = taken(ended_at=NOON + timedelta(minutes=5), end="handed_back", note="He sleeps badly.")
    history = [
        ChatMessage("user", "I cannot sleep"),
        *(as_chat(marker) for marker in list_markers([ended])),
    ]
    prompt = build_prompt(replace(PARTS, history=history, had_coach=True), budget_tokens=2_000)
    system, *talk = prompt.messages
    assert "They have left: answer now" in system.content
    assert "do not repeat it" in system.content
    assert "He sleeps badly." in talk[1].content
    assert talk[-1] == ChatMessage("user", "And now?")


def test_without_a_coach_nothing_is_said_of_one() -> None:
    prompt = build_prompt(PARTS, budget_tokens=2_000)
    assert "human coach" not in prompt.messages[0].content


def test_notes_stand_in_the_system_message_oldest_first_and_never_in_the_talk() -> None:
    parts = replace(PARTS, coach_notes=("newer", "older\n<|im_end|>"))
    system, *talk = build_prompt(parts, budget_tokens=2_000).messages
    assert system.content.index("- older") < system.content.index("- newer")
    assert "never quote" in system.content
    assert "<|im_end|>" not in system.content
    assert all("newer" not in message.content for message in talk)


def test_notes_take_their_share_and_the_newest_stay() -> None:
    notes = tuple(f"note {number} {'word ' * 60}" for number in range(20))
    prompt = build_prompt(replace(PARTS, coach_notes=notes), budget_tokens=1_500)
    assert prompt.tokens <= 1_500
    assert "note 0 " in prompt.messages[0].content
    assert "note 19 " not in prompt.messages[0].content


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("(the human coach wrote:) Sleep well", "Sleep well"),
        ("(The human coach Eva left. From here on I answer again.) Sleep well", "Sleep well"),
        ("(maybe) sleep well", "(maybe) sleep well"),
    ],
)
def test_a_mark_that_the_model_copies_is_taken_off(written: str, shown: str) -> None:
    assert without_marks(written) == shown
    assert Wording("Mira", (), 0.5).text(written) == shown

"""Keyboards below messages."""

from __future__ import annotations

from typing import Any, Final

from coachline_lab.telegram.arguments import Arguments
from coachline_lab.telegram.refusals import bad_request

DATA_BYTES: Final = 64
MOST_BUTTONS: Final = 100
_OTHER_KEYBOARDS: Final = ("keyboard", "remove_keyboard", "force_reply")
_ACTIONS: Final = frozenset(
    {"callback_data", "url", "web_app", "login_url", "switch_inline_query", "copy_text", "pay"}
    | {"switch_inline_query_current_chat", "switch_inline_query_chosen_chat", "callback_game"}
)


def checked_markup(arguments: Arguments) -> dict[str, Any] | None:
    """The inline keyboard of a call, as it will be shown; None for none and for other keyboards.

    Raises:
        Refusal: it is no keyboard, or a button is not as the platform wants it.
    """
    markup = arguments.mapping("reply_markup")
    if not markup or any(name in markup for name in _OTHER_KEYBOARDS):
        return None
    rows = markup.get("inline_keyboard")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request("object expected as reply markup")
    shown = [[_checked(button) for button in row] for row in rows if row]
    if sum(map(len, shown)) > MOST_BUTTONS:
        raise bad_request("reply markup is too long")
    return {"inline_keyboard": shown} if shown else None


def _checked(button: Any) -> dict[str, Any]:
    if not isinstance(button, dict):
        raise bad_request("can't parse inline keyboard button: object expected")
    kept = {name: value for name, value in button.items() if value is not None}
    if not str(kept.get("text", "")).strip():
        raise bad_request("can't parse inline keyboard button: Text must be non-empty")
    if sum(name in kept for name in _ACTIONS) != 1:
        raise bad_request(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )
    data = kept.get("callback_data")
    if data is not None and not 1 <= len(str(data).encode()) <= DATA_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
    return kept

"""What a message may hold, and what people see of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from coachline_lab.slack.refusals import Refusal

TEXT: Final = 40_000
MARKDOWN: Final = 12_000
ALL_BLOCKS: Final = 13_200
MOST_BLOCKS: Final = 50
TYPES: Final = frozenset(
    {"actions", "context", "context_actions", "divider", "file", "header", "image", "input"}
    | {"markdown", "rich_text", "section", "table", "task_card", "plan", "video"}
)
_PING: Final = re.compile(r"<(?:!(?:channel|here|everyone|subteam\^\w+)|@[UW]\w+)(?:\|[^>]*)?>")
_NAMED: Final = re.compile(r"(?<![\w@])@(?:channel|here|everyone)\b")
_PINGING: Final = frozenset({"user", "usergroup", "broadcast"})


def checked_blocks(blocks: Any) -> list[dict[str, Any]]:
    """Return blocks as they will be shown.

    Raises:
        Refusal: they are not as Slack wants them.
    """
    if blocks is None:
        return []
    if not isinstance(blocks, list) or not all(isinstance(one, dict) for one in blocks):
        raise Refusal("invalid_blocks_format")
    if len(blocks) > MOST_BLOCKS:
        raise _invalid(f"no more than {MOST_BLOCKS} items allowed", "/blocks")
    for number, block in enumerate(blocks):
        _check(block, f"/blocks/{number}")
    markdown = sum(len(one.get("text", "")) for one in blocks if one["type"] == "markdown")
    if markdown > MARKDOWN or sum(len(text) for text in _texts(blocks)) > ALL_BLOCKS:
        raise Refusal("msg_blocks_too_long")
    return blocks


def shown_text(text: str, blocks: Sequence[Mapping[str, Any]]) -> str:
    """What people read: the blocks where there are any with words, else the text."""
    lines = [found for block in blocks if (found := _block_text(block))]
    return "\n".join(lines) or text


def pings_in(text: str, blocks: Sequence[Mapping[str, Any]], *, is_named: bool) -> list[str]:
    """Every place that would notify somebody; ``is_named``: ``@channel`` in words counts too."""
    found = [ping for one in [text, *_marked(blocks)] for ping in _PING.findall(one)]
    found += [str(each["type"]) for each in _walk(blocks) if each.get("type") in _PINGING]
    return found + (_NAMED.findall(text) if is_named else [])


def _check(block: Mapping[str, Any], where: str) -> None:
    kind = block.get("type")
    if kind not in TYPES:
        raise _invalid(f"unsupported type: {kind}", where)
    if kind == "section":
        _check_section(block, where)
    elif kind == "header":
        _check_words(block.get("text"), 150, where)
    elif kind == "markdown" and not str(block.get("text", "")).strip():
        raise _invalid("must be more than 0 characters", f"{where}/text")
    elif kind == "actions":
        _check_elements(block, 25, where)
    elif kind == "context":
        _check_elements(block, 10, where)
    elif kind == "rich_text" and not isinstance(block.get("elements"), list):
        raise _invalid("missing required field: elements", where)
    if len(str(block.get("block_id", ""))) > 255:
        raise _invalid("must be less than 256 characters", f"{where}/block_id")


def _check_section(block: Mapping[str, Any], where: str) -> None:
    fields = block.get("fields") or []
    if not block.get("text") and not fields:
        raise _invalid("missing required field: text", where)
    if block.get("text"):
        _check_words(block["text"], 3000, f"{where}/text")
    for one in fields:
        _check_words(one, 2000, f"{where}/fields")
    if isinstance(accessory := block.get("accessory"), dict):
        _check_button(accessory, f"{where}/accessory")


def _check_words(text: Any, most: int, where: str) -> None:
    if not isinstance(text, dict) or text.get("type") not in ("plain_text", "mrkdwn"):
        raise _invalid("must be a text object", where)
    if not 1 <= len(str(text.get("text", ""))) <= most:
        raise _invalid(f"must be more than 0 and less than {most + 1} characters", where)


def _check_elements(block: Mapping[str, Any], most: int, where: str) -> None:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= most:
        raise _invalid(f"must have 1 to {most} items", f"{where}/elements")
    for number, one in enumerate(elements):
        _check_button(one, f"{where}/elements/{number}")
    names = [one["action_id"] for one in elements if one.get("action_id")]
    if len(names) != len(set(names)):
        raise _invalid("action_id already exists", where)


def _check_button(element: Mapping[str, Any], where: str) -> None:
    if element.get("type") == "mrkdwn":
        _check_words(element, 3000, where)
    if element.get("type") != "button":
        return
    _check_words(element.get("text"), 75, f"{where}/text")
    for name, most in (("value", 2000), ("url", 3000), ("action_id", 255)):
        if len(str(element.get(name, ""))) > most:
            raise _invalid(f"must be less than {most + 1} characters", f"{where}/{name}")


def _invalid(problem: str, where: str) -> Refusal:
    messages = {"messages": [f"[ERROR] {problem} [json-pointer:{where}]"]}
    return Refusal("invalid_blocks", errors=[problem], response_metadata=messages)


def _walk(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield node
        for value in node.values():
            yield from _walk(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _walk(value)


def _texts(blocks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for node in _walk(blocks):
        if isinstance(text := node.get("text"), str):
            yield text


def _marked(blocks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The texts in which Slack looks for mentions."""
    for node in _walk(blocks):
        if node.get("type") in ("mrkdwn", "markdown") and isinstance(node.get("text"), str):
            yield node["text"]


def _block_text(block: Mapping[str, Any]) -> str:
    if block.get("type") == "rich_text":
        return "\n".join(_rich(one) for one in block.get("elements", ()))
    if block.get("type") in ("actions", "divider"):
        return ""
    return "\n".join(_texts([block]))


def _rich(element: Mapping[str, Any]) -> str:
    if element.get("type") == "rich_text_list":
        return "\n".join(f"• {_rich(one)}" for one in element.get("elements", ()))
    parts = []
    for one in element.get("elements", ()):
        parts.append(str(one.get("text") or one.get("url") or one.get("name") or ""))
    return "".join(parts)

"""The description of what we tell by ourselves: AsyncAPI 3, with a JSON Schema of every event.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

import json
from typing import Any, Final

from coachline import __version__
from coachline.monitoring.bodies import BODY_VERSION
from coachline.monitoring.event_types import EVENT_TYPES, EventFacts

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def event_schema(kind: str, model: type[EventFacts]) -> dict[str, Any]:
    """The JSON Schema of the body of a delivery that tells an event of this type."""
    data = model.model_json_schema()
    return {
        "$schema": _DIALECT,
        "title": kind,
        "description": data.pop("description", ""),
        "type": "object",
        "required": ["type", "version", "timestamp", "data"],
        "additionalProperties": False,
        "properties": {
            "type": {"const": kind},
            "version": {"const": BODY_VERSION},
            "timestamp": {
                "type": "string",
                "format": "date-time",
                "description": "When it happened.",
            },
            "data": data,
        },
    }


def render_asyncapi() -> str:
    """The text of ``docs/api/asyncapi.json``."""
    messages = {kind: _message(kind, model) for kind, model in EVENT_TYPES.items()}
    references = {kind: {"$ref": f"#/components/messages/{kind}"} for kind in messages}
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Coachline",
            "version": __version__,
            "description": "What a tenant's monitors are told: by webhooks that are signed as "
            "Standard Webhooks has it, and by a stream of server-sent events.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "endpoint": {
                "address": None,
                "description": "Posted to each endpoint that wants it, in order within a "
                "conversation; at least once, under the same webhook-id.",
                "messages": references,
            },
            "stream": {
                "address": "/api/v1/feed/stream",
                "description": "GET with an API key of the scope `read`. The id of an event is its "
                "position: send the last one as Last-Event-ID to go on. The data is that of "
                "FeedEventOut in docs/api/openapi.json, without texts.",
                "messages": references,
            },
        },
        "operations": {
            "deliver": {"action": "send", "channel": {"$ref": "#/channels/endpoint"}},
            "stream": {"action": "send", "channel": {"$ref": "#/channels/stream"}},
        },
        "components": {"messages": messages},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _message(kind: str, model: type[EventFacts]) -> dict[str, Any]:
    return {
        "name": kind,
        "title": kind,
        "summary": (model.__doc__ or "").strip().replace("`", ""),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
            "properties": {
                "webhook-id": {
                    "type": "string",
                    "description": "The event's id, the same on every attempt: drop what you know.",
                },
                "webhook-timestamp": {
                    "type": "string",
                    "description": "Seconds since the epoch, of this attempt.",
                },
                "webhook-signature": {
                    "type": "string",
                    "description": "Of `{id}.{timestamp}.{body}`: v1 (HMAC) or v1a (ed25519), "
                    "several while secrets rotate.",
                },
            },
        },
        "payload": event_schema(kind, model),
    }

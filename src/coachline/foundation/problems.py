"""Errors as RFC 9457 problem documents: what a person reads and what a program relies on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

from coachline.foundation.errors import (
    BadRequest,
    CoachlineError,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)

MEDIA_TYPE: Final = "application/problem+json"

_MOST_FAULTS: Final = 20
_LONGEST_NAME: Final = 64
# RFC 9110 section 11.6.1: a 401 names at least one way to authenticate.
_CHALLENGE: Final = 'Bearer realm="coachline"'
# Where an error does not know: a limit's window is about to move, a restart takes some seconds.
_DEFAULT_WAIT_SECONDS: Final[Mapping[int, float]] = {
    HTTPStatus.TOO_MANY_REQUESTS: 1.0,
    HTTPStatus.SERVICE_UNAVAILABLE: 5.0,
}
# A status that the framework chose has the code that our own error of this kind has.
_CODES: Final[Mapping[int, str]] = {
    kind.status: kind.code
    for kind in (
        BadRequest,
        Conflict,
        Forbidden,
        InvalidInput,
        NotFound,
        TooLarge,
        TooManyRequests,
        Unauthenticated,
        Unavailable,
        UnsupportedMedia,
    )
} | {HTTPStatus.METHOD_NOT_ALLOWED.value: "method_not_allowed"}
# Pydantic's own sentence quotes the input here; ours does not.
_SENTENCES: Final[Mapping[str, str]] = {
    "union_tag_invalid": "Input should have one of the known tags",
    "uuid_parsing": "Input should be a valid UUID",
    "url_parsing": "Input should be a valid URL",
}


class Fault(BaseModel):
    """One field that cannot be used; the value that was given is never repeated."""

    model_config = ConfigDict(frozen=True)

    loc: list[str | int] = Field(description="Where: body, query, path or header, then the field.")
    msg: str = Field(description="What is expected there.")


class Problem(BaseModel):
    """The body of every answer that is not a success (RFC 9457)."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(default="about:blank", description="Always about:blank; use `code`.")
    title: str = Field(description="The name of the status.")
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="A stable word for programs.")
    detail: str = Field(description="What happened and what to do, for a person.")
    request_id: str = Field(description="Also in the X-Request-Id header; quote it for help.")
    errors: list[Fault] | None = Field(default=None, description="Every field that is wrong.")


class _FieldError(Protocol):
    def __getitem__(self, key: str, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is not a success, before it has a request id."""

    status: int
    code: str
    detail: str
    headers: Mapping[str, str]
    faults: tuple[Fault, ...] | None = None

    def body(self, request_id: str) -> bytes:
        """The problem document, in ASCII: a lone surrogate in a field's name must not break it."""
        problem = Problem(
            title=_phrase(self.status),
            status=self.status,
            code=self.code,
            detail=self.detail,
            request_id=request_id,
            errors=None if self.faults is None else list(self.faults),
        )
        return json.dumps(problem.model_dump(exclude_none=True)).encode("ascii")


def refuse(
    status: int,
    code: str,
    detail: str,
    *,
    retry_after_seconds: float | None = None,
    headers: Mapping[str, str] | None = None,
    faults: Sequence[Fault] | None = None,
) -> Refusal:
    """Build a refusal with the headers that its status requires.

    401 gets ``WWW-Authenticate``, 429 and 503 get ``Retry-After`` in whole seconds, at least 1.
    """
    extra = dict(headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        extra.setdefault("WWW-Authenticate", _CHALLENGE)
    wait = _DEFAULT_WAIT_SECONDS.get(status) if retry_after_seconds is None else retry_after_seconds
    if wait is not None:
        extra["Retry-After"] = str(max(1, math.ceil(wait)))
    return Refusal(status, code, detail, extra, None if faults is None else tuple(faults))


def refuse_error(error: CoachlineError) -> Refusal:
    """Build the refusal that one of our errors stands for."""
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return refuse_unexpected(error.code)
    return refuse(
        error.status, error.code, error.message, retry_after_seconds=error.retry_after_seconds
    )


def refuse_unexpected(code: str = CoachlineError.code) -> Refusal:
    """Build the answer to an error that nobody expected: it says nothing of the inside."""
    return refuse(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        code,
        "Something went wrong here, not in your request. Quote the request id to ask for help.",
    )


def refuse_status(status: int, *, headers: Mapping[str, str] | None = None) -> Refusal:
    """Build the answer for a status that the web framework chose, such as 404 or 405."""
    return refuse(status, _CODES.get(status, "refused"), f"{_phrase(status)}.", headers=headers)


def refuse_fields(errors: Iterable[_FieldError]) -> Refusal:
    """Build the answer to input that does not fit its schema, from pydantic's errors.

    At most 20 faults are listed; a name that the sender made up is cut to 64 characters.
    """
    faults = [_fault(error) for error in errors]
    return refuse(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_input",
        "The request does not fit the schema; `errors` names each field.",
        faults=faults[:_MOST_FAULTS],
    )


def _fault(error: _FieldError) -> Fault:
    loc = [part if isinstance(part, int) else str(part)[:_LONGEST_NAME] for part in error["loc"]]
    return Fault(loc=loc, msg=_SENTENCES.get(error["type"], str(error["msg"])))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"

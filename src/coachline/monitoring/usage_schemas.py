"""What usage says over HTTP."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, Field


class WaitsOut(BaseModel):
    """How long something took; at most a fifth away from the exact times, which are not kept."""

    count: int
    median_seconds: float | None = Field(description="Null when it never happened.")
    p90_seconds: float | None = Field(description="What nine of ten did not exceed.")


class FiguresOut(BaseModel):
    """What happened. A reply is one part of an answer."""

    messages: int = Field(description="Of learners.")
    bot_replies: int
    coach_replies: int
    notices: int = Field(description="Replies that the gateway said by itself.")
    bot_answers: int = Field(description="Whole answers of the bot.")
    coach_answers: int = Field(description="Whole answers of coaches.")
    failed_replies: int = Field(description="Ended dead, unknown or suppressed.")
    failed_turns: int = Field(description="Came to no answer.")
    opt_outs: int
    learners: int = Field(description="Who wrote, each counted once.")
    conversations: int = Field(description="In which they wrote.")
    first_answer: WaitsOut = Field(description="From a message to the first part of its answer.")
    model: WaitsOut = Field(description="From asking a model to its last word.")


class UsageDayOut(BaseModel):
    """One day; a channel that was quiet is left out."""

    day: date
    total: FiguresOut
    by_channel: dict[str, FiguresOut]


class UsageOut(BaseModel):
    """What happened day by day, the oldest first, quiet days too."""

    time_zone: str = Field(description="The tenant's: where its days begin and end.")
    total: FiguresOut
    by_channel: dict[str, FiguresOut]
    days: list[UsageDayOut]

"""Optional abilities, found by ``isinstance``: a channel implements those its platform has."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Streaming(Protocol):
    """Shows an answer while it is being written. Best effort: the final ``send`` still follows."""

    stream_interval_seconds: float

    @property
    def streams(self) -> bool:
        """Whether this connection wants drafts at all."""
        ...

    async def stream(self, *, draft_id: str, thread: str, text: str) -> None:
        """Show ``text``, the whole answer so far, as the draft ``draft_id``.

        Raises:
            ChannelError: the draft was not shown; the caller stops streaming this answer.
        """
        ...

"""Rules and a model together: whoever is more worried is heard."""

from __future__ import annotations

import asyncio

from coachline.conversation.safety.judging import Direction, Judgement, SafetyCheck, join


class BothChecks:
    """Asks several checks at once and joins what they say.

    None can lower what another says: a text that talks a model round does not talk the rules round.
    """

    def __init__(self, *checks: SafetyCheck) -> None:
        self._checks = checks

    async def judge(self, text: str, *, language: str, direction: Direction) -> Judgement:
        """The most worried judgement, with the reasons and notes of all."""
        return join(
            await asyncio.gather(
                *(
                    check.judge(text, language=language, direction=direction)
                    for check in self._checks
                )
            )
        )

"""Rules about text in any language: unfinished marks, unexplained silence, machine traces."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator, Sequence

from architecture.rules.source import Finding, Source

# One letter of each word is a class of its own, so that this file does not find itself.
_UNFINISHED = re.compile(r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b")
_SILENCER = re.compile(
    r"#\s*(?P<mark>type:\s*ignore|noqa|nosec|pragma:\s*no cover|fmt:\s*off|mypy:)(?P<rest>.*)"
)
_CODES = re.compile(r"^\s*(:\s*)?(\[[\w, -]*\]|[A-Z]+\d+([,\s]+[A-Z]+\d+)*)?")
_TRACES = re.compile(
    r"\b(pypi\.or[g]|pythonhosted\.or[g]|registry\.npmjs\.or[g]|proxy\.golang\.or[g])"
    r"|(?<![\w.])/(roo[t]|wor[k]|home/[a-z]\w*|Users/\w+)/"
)
_EXEMPT_TRACES = frozenset({"uv.lock"})
_SHORTEST_REASON = 4


def unfinished(sources: Sequence[Source]) -> list[Finding]:
    """Marks that say the work is not done."""
    return list(_lines(sources, _UNFINISHED, "unfinished: finish it or open an issue", frozenset()))


def machine_traces(sources: Sequence[Source]) -> list[Finding]:
    """Hosts of package registries and absolute paths of somebody's machine."""
    return list(_lines(sources, _TRACES, "names a registry or a machine's path", _EXEMPT_TRACES))


def _lines(
    sources: Sequence[Source], pattern: re.Pattern[str], says: str, exempt: frozenset[str]
) -> Iterator[Finding]:
    for source in sources:
        if source.path in exempt:
            continue
        for number, line in enumerate(source.text.splitlines(), 1):
            if match := pattern.search(line):
                yield Finding(source.path, number, f"{match.group()!r} {says}")


def unexplained_silencers(sources: Sequence[Source]) -> list[Finding]:
    """Checks that are switched off without naming which one and why.

    The reason stands behind the code (``# noqa: S603 - fixed arguments``) or in a comment of its
    own on the line above.
    """
    found = []
    for source in sources:
        if not (source.is_code or source.is_test):
            continue
        comments = dict(_comments(source))
        own_line = {n for n, (column, _) in comments.items() if _stands_alone(source, n, column)}
        for number, (_, comment) in comments.items():
            match = _SILENCER.search(comment)
            if match is None:
                continue
            reason = _CODES.sub("", match["rest"], count=1).strip(" \t#-:—–()")
            if len(reason) < _SHORTEST_REASON and number - 1 not in own_line:
                found.append(Finding(source.path, number, f"{match['mark']} without a reason"))
    return found


def _comments(source: Source) -> Iterator[tuple[int, tuple[int, str]]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], (token.start[1], token.string)
    except (tokenize.TokenError, SyntaxError):
        return  # a file that cannot be read as Python is ruff's finding


def _stands_alone(source: Source, number: int, column: int) -> bool:
    return not source.text.splitlines()[number - 1][:column].strip()

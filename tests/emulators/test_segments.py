"""Our count of segments is that of Twilio's own calculator."""

from __future__ import annotations

import json
import random
import subprocess

from channel_sms.segments import measure
from fixtures.emulators import Emulators

_COUNT = """
const { SegmentedMessage } = require("sms-segments-calculator");
const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
const found = texts.map((text) => {
  const message = new SegmentedMessage(text, "auto", false);
  return [message.segmentsCount, message.encodingName === "GSM-7"];
});
process.stdout.write(JSON.stringify(found));
"""
_EDGES = [
    *("a" * count for count in (1, 159, 160, 161, 306, 307, 459, 460)),
    *("€" * count for count in (80, 81, 153)),
    *("a" * count + "€" + "a" * 200 for count in (151, 152, 153)),
    *("世" * count for count in (69, 70, 71, 134, 135)),
    *("👋" * count for count in (34, 35, 36, 67)),
    *("世" * count + "👋" + "世" * 60 for count in (65, 66, 67)),
    "It’s",
    "ça va",
    "a\tb",
    "^{}\\[~]|€",
    "line\nline",
]


def test_twilios_calculator_counts_the_same(emulators: Emulators) -> None:
    draw = random.Random(7)
    alphabets = ["ab €^é\n", "ab €’世", "世👋a"]
    texts = _EDGES + [
        "".join(draw.choices(draw.choice(alphabets), k=draw.randrange(1, 500))) for _ in range(300)
    ]
    result = subprocess.run(  # noqa: S603 - our own command
        [str(emulators.node), "-e", _COUNT],
        cwd=emulators.node_modules.parent,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for text, (segments, is_gsm) in zip(texts, json.loads(result.stdout), strict=True):
        ours = measure(text)
        assert (ours.segments, ours.is_gsm) == (segments, is_gsm), text

"""The memory of a process that runs for long."""

from __future__ import annotations

import gc


def freeze_heap() -> None:
    """Take what is there now, for as long as the process runs, out of what is searched for garbage.

    Imported libraries alone are some hundred thousand objects: a full collection that looks at all
    of them stops the event loop for more than a tenth of a second, in the middle of any request.
    """
    gc.collect()
    gc.freeze()

"""Leaving lines unmeasured that cost too much to be measured."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def untraced() -> Iterator[None]:
    """
    Measure no coverage of what this thread and threads that it starts do in the context.

    What pytest-cov has for this, `no_cover`, does not stop all that measures in a process of pytest-xdist.
    """
    own, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.settrace(own)
        threading.settrace(of_threads)  # type: ignore[arg-type]

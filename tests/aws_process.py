"""The program of an emulator that calls functions: its second argument is the Python in which it runs them."""

from __future__ import annotations

import asyncio
import sys

from chalicelib.local import store_process


if __name__ == "__main__":
    # The emulator runs functions in the Python that it runs in itself, with all that is installed there.
    sys.executable = sys.argv[2]
    asyncio.run(store_process.serve(int(sys.argv[1])))

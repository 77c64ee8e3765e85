"""How the process handles memory."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 1 << 30


def keep_freed_memory() -> None:
    """Lets the C library keep freed memory for the next tensor, in this process from now on.

    It returns large blocks to the system at once, and the system clears each page before it hands
    it out again: with the networks of 64 replicas, a tenth of the time. Does nothing elsewhere than
    on Linux with glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        mallopt(_M_TRIM_THRESHOLD, _LARGEST)

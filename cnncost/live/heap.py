"""Memory that is freed: kept by the process, or handed back to the system.

glibc gives large blocks back as soon as they are freed, and asks for them anew; every page of them is then a fault,
and zeroed. Whether it does so depends on what the process has freed before, so that a layer may take three times as
long in one run as in the next. A heap that is kept is the same every time.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's mallopt: -1 never trims the heap, 0 takes no block from outside it."""


@cache
def keep() -> bool:
    """From now on, what this process frees stays with it, as far as the C library can be told so (glibc's can)."""
    libc = _libc()
    if not hasattr(libc, "mallopt"):
        return False
    return bool(libc.mallopt(M_TRIM_THRESHOLD, -1)) and bool(libc.mallopt(M_MMAP_MAX, 0))


def give_back() -> None:
    """What is freed now goes back to the system, whatever has been said before."""
    libc = _libc()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


@cache
def _libc() -> Any:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):  # not on this system
        return None

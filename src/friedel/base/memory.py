"""Keep the C allocator from handing every large array back to the kernel.

By default glibc serves each block above a threshold straight from the kernel and returns it on release. An iterative
solver allocates and releases the same large arrays thousands of times, and then spends much of its time in page
faults. Raising two thresholds keeps freed memory in the process for the next array. This changes no result, and
nothing outside glibc (macOS, musl, Windows), where `keep_freed_memory` does nothing.
"""

import ctypes
import sys
from functools import lru_cache

# Parameter numbers from glibc's <malloc.h>; mallopt(3) describes them.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# Some glibc versions refuse a threshold above 32 MiB; that still covers a complex volume of 160³.
_LIMITS_BYTES = (1 << 30, 1 << 25)


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let the process reuse freed arrays of up to 1 GiB; return whether the C library took the hint.

    Safe to call often and from anywhere: only the first call does anything.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    kept = any(mallopt(_M_MMAP_THRESHOLD, limit) for limit in _LIMITS_BYTES)
    return bool(kept and mallopt(_M_TRIM_THRESHOLD, _LIMITS_BYTES[0]))

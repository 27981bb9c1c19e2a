"""Keep the C allocator from handing every array back to the kernel.

By default glibc serves each block above a threshold straight from the kernel and returns it on release. An iterative
solver allocates and releases the same arrays thousands of times, and then spends much of its time in page faults.
Raising two thresholds keeps freed memory in the process for the next array: for arrays of up to 32 MiB (a complex
volume of 160³). Larger ones go back at once: kept, they would pile up to several times what is in use, because the
allocator can't reuse the gaps between them.

By default each thread also gets a heap of its own, of 64 MiB at most, and the large arrays of a batch make and unmake
such heaps all the time. One heap for all threads keeps their memory, too. This changes no result, and nothing outside
glibc (macOS, musl, Windows).
"""

import ctypes
import sys
from functools import lru_cache

# Parameter numbers from glibc's <malloc.h>; mallopt(3) describes them.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGEST_KEPT_BYTES = 1 << 25
_KEPT_IN_ALL_BYTES = 1 << 30


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let the process reuse freed arrays of up to 32 MiB; return whether the C library took the hint.

    Safe to call often and from anywhere: only the first call does anything. Best before the first thread starts.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    hints = {_M_MMAP_THRESHOLD: _LARGEST_KEPT_BYTES, _M_TRIM_THRESHOLD: _KEPT_IN_ALL_BYTES, _M_ARENA_MAX: 1}
    return all(mallopt(parameter, value) for parameter, value in hints.items())

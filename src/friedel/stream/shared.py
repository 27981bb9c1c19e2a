"""Blocks of shared memory, reserved in full when made and removed after a crash. Knows nothing of what lies in them.

Where memory is short, making a block is an error, rather than a bus error at some later write. A block's maker holds a
lock on it, which the kernel releases however the maker ends; so the next start can tell what is stale and remove it.
"""

import contextlib
import errno
import os
import secrets
import sys
from multiprocessing import shared_memory
from pathlib import Path

from friedel.core.errors import InputError

_FOLDER = Path("/dev/shm")  # Linux; elsewhere blocks are neither locked nor swept
_PREFIX = "friedel-"


class SharedBlock:
    """A block of shared memory, made here or by another process.

    Parameters
    ----------
    name : str or None
        Of a block that exists; None makes one, which `close` removes.
    n_bytes : int
        Size of a new block.

    Raises
    ------
    InputError
        If there isn't so much memory.
    """

    def __init__(self, name: str | None = None, *, n_bytes: int = 0) -> None:
        self._lock: int | None = None
        self._owner = name is None
        self._memory = _attached(name) if name is not None else self._made(n_bytes)
        assert self._memory.buf is not None  # it is open
        self.buffer = self._memory.buf
        self.name, self.size = self._memory.name, self._memory.size

    def close(self) -> None:
        """Let go of the block, and remove it if it was made here; views of it must not be used any more."""
        with contextlib.suppress(BufferError):  # a view is still alive; the memory goes with it
            self._memory.close()
        if self._owner:
            self._owner = False
            self._memory.unlink()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _made(self, n_bytes: int) -> shared_memory.SharedMemory:
        while True:
            try:
                memory = shared_memory.SharedMemory(f"{_PREFIX}{secrets.token_hex(6)}", create=True, size=n_bytes)
            except OSError as error:
                raise _too_little(n_bytes, error) from None
            if not _FOLDER.is_dir():
                return memory
            try:
                self._lock = _locked(_FOLDER / memory.name)
                if self._lock is None:  # a sweep came between the two steps
                    continue
                os.posix_fallocate(self._lock, 0, n_bytes)
            except OSError as error:
                memory.close()
                memory.unlink()
                raise _too_little(n_bytes, error) from None
            return memory


def _attached(name: str) -> shared_memory.SharedMemory:
    # From Python 3.13 on any process may. Before, only one that `multiprocessing` started, directly or not, from the
    # maker: in any other, Python's own bookkeeping would remove the memory when that process ends.
    if sys.version_info >= (3, 13):
        return shared_memory.SharedMemory(name=name, track=False)
    return shared_memory.SharedMemory(name=name)


def _locked(path: Path) -> int | None:
    """Return a descriptor that holds the file's lock; None if another process has it, or the file is gone."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _too_little(n_bytes: int, error: OSError) -> InputError:
    if error.errno != errno.ENOSPC:
        return InputError(f"shared memory can't be had ({error.strerror or error})")
    text = f"{n_bytes >> 20} MiB of shared memory are needed and {free_bytes() >> 20} MiB are free in {_FOLDER}"
    return InputError(f"{text}; give more (docker run --shm-size=1g), or set queue.memory_mb lower")


def free_bytes() -> int:
    """Return how much shared memory can still be had, bytes; more than any machine has where that isn't known."""
    if not _FOLDER.is_dir():
        return sys.maxsize
    found = os.statvfs(_FOLDER)
    return found.f_bavail * found.f_frsize


def sweep() -> int:
    """Remove the blocks whose maker was killed; return how many there were. Blocks in use and others' stay."""
    removed = 0
    for path in _FOLDER.glob(f"{_PREFIX}*") if _FOLDER.is_dir() else ():
        lock = _locked(path)
        if lock is None:
            continue
        try:
            path.unlink(missing_ok=True)
            removed += 1
        except OSError:  # another user's
            pass
        finally:
            os.close(lock)
    return removed

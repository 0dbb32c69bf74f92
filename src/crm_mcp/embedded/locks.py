"""Whole-file locks which the kernel drops when their holder dies, whatever kills it.

On POSIX this is flock and not fcntl locks: those are lost when any other handle on the file closes.
A waiting exclusive request blocks no new shared one on Linux, macOS and Windows, so the reaper may wait
in the kernel.
"""

import os
import sys
import time
from pathlib import Path
from types import TracebackType

if sys.platform == "win32":
    import ctypes
    import ctypes.wintypes
    import msvcrt

    _LOCKFILE_FAIL_IMMEDIATELY = 1
    _LOCKFILE_EXCLUSIVE_LOCK = 2
    _ERROR_LOCK_VIOLATION = 33
    _WHOLE = 0xFFFFFFFF
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)

    class _Overlapped(ctypes.Structure):
        _fields_ = (
            ("Internal", ctypes.c_void_p),
            ("InternalHigh", ctypes.c_void_p),
            ("Offset", ctypes.wintypes.DWORD),
            ("OffsetHigh", ctypes.wintypes.DWORD),
            ("hEvent", ctypes.wintypes.HANDLE),
        )

    def _lock(descriptor: int, *, exclusive: bool, wait: bool) -> bool:
        flags = (_LOCKFILE_EXCLUSIVE_LOCK if exclusive else 0) | (0 if wait else _LOCKFILE_FAIL_IMMEDIATELY)
        handle = ctypes.wintypes.HANDLE(msvcrt.get_osfhandle(descriptor))
        if _kernel32.LockFileEx(handle, flags, 0, _WHOLE, _WHOLE, ctypes.byref(_Overlapped())):
            return True
        error = ctypes.get_last_error()
        if error == _ERROR_LOCK_VIOLATION and not wait:
            return False
        raise ctypes.WinError(error)

    def _unlock(descriptor: int) -> None:
        handle = ctypes.wintypes.HANDLE(msvcrt.get_osfhandle(descriptor))
        if not _kernel32.UnlockFileEx(handle, 0, _WHOLE, _WHOLE, ctypes.byref(_Overlapped())):
            raise ctypes.WinError(ctypes.get_last_error())

else:
    import fcntl

    def _lock(descriptor: int, *, exclusive: bool, wait: bool) -> bool:
        try:
            fcntl.flock(
                descriptor,
                (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB),
            )
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class FileLock:
    """One handle on a lock file, which is created when missing and never deleted.

    Deleting it would let two processes hold "the" lock on two different files. Nothing is stored in it,
    because a Windows lock also keeps others from reading. The handle is not inherited by programs this
    process starts, unless it is handed to them on purpose.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def fileno(self) -> int:
        return self._descriptor

    def share(self) -> None:
        """Take the lock together with other sharers, waiting for an exclusive holder to let go."""
        _lock(self._descriptor, exclusive=False, wait=True)

    def try_share(self) -> bool:
        return _lock(self._descriptor, exclusive=False, wait=False)

    def hold(self) -> None:
        """Take the lock alone, waiting for every other holder to let go."""
        _lock(self._descriptor, exclusive=True, wait=True)

    def try_hold(self) -> bool:
        return _lock(self._descriptor, exclusive=True, wait=False)

    def hold_within(self, seconds: float) -> bool:
        """Try for a while: whoever asks whether a lock is held takes it for an instant himself."""
        deadline = time.monotonic() + seconds
        while not self.try_hold():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def release(self) -> None:
        _unlock(self._descriptor)

    def touch(self) -> None:
        """Leave a trace of having been here, for `trace`."""
        os.utime(self._descriptor if os.utime in os.supports_fd else self._path)

    def trace(self) -> int:
        """Give a number that differs after somebody called `touch`."""
        return os.fstat(self._descriptor).st_mtime_ns

    def close(self) -> None:
        """Let go of the lock and the file; closing twice does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_held(path: Path) -> bool:
    """Say whether some process holds the lock exclusively; a missing file is held by nobody."""
    if not path.exists():
        return False
    with FileLock(path) as lock:
        return not lock.try_share()

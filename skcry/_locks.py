"""Locks of files, between processes. File systems and systems without them let every process through."""

import contextlib
import errno
import os
import sys

if sys.platform != "win32":
    import fcntl

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)  # of file systems that cannot lock files


def try_lock(descriptor, exclusive, without_locks=True):
    """Lock a file without waiting; return whether it worked, or ``without_locks`` where files cannot be locked."""
    if sys.platform == "win32":
        return without_locks
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        return without_locks if error.errno in NO_LOCKS else False
    return True


def wait_for_lock(descriptor):
    """Lock a file; without locks of files, go on."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def unlock(descriptor):
    """Close a locked file, and release its lock also in processes that were forked from this one."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def is_at(descriptor, path):
    """Tell whether an open file still is the one with this path; another process may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from skcry import _locks
from skcry.windows import scratch
from skcry.windows.scratch import Lease, ScratchArray, make_room, session_folder

posix = pytest.mark.skipif(sys.platform == "win32", reason="without locks of files")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A session of its own in an empty folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "_sessions", {})
    yield tmp_path
    scratch._leave()


def run(code, folder, **options):
    """Run Python code in a process whose temporary folder this is."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env={**os.environ, "TMPDIR": str(folder)}, capture_output=True, text=True, **options)


def test_rows_are_written_by_block_and_read_by_row(folder, rng):
    values = rng.normal(size=(10, 2, 3)).astype(np.float32)
    array, lease = ScratchArray("key", "name", (2, 3), np.float32), Lease("key")
    assert array.missing([0, 1, 2]) == [0, 1, 2]
    array.write(2, 6, values[6:])
    array.write(0, 0, values[:3])
    assert array.missing([0, 1, 2]) == [1]
    np.testing.assert_array_equal(array.read(7, 9), values[7:9])
    np.testing.assert_array_equal(ScratchArray("key", "name", (2, 3), np.float32).read(0, 3), values[:3])
    assert lease.key == "key"


def test_the_folder_is_private_and_removed_at_the_end(folder):
    made = session_folder()
    assert made.parent == folder
    assert made.stat().st_mode & 0o077 == 0 or sys.platform == "win32"
    Lease("key")
    scratch._leave()
    assert list(folder.iterdir()) == []


def test_a_process_leaves_nothing_behind(tmp_path):
    code = "from skcry.windows.scratch import *; import numpy as np; lease = Lease('key'); print(session_folder());"
    code += "ScratchArray('key', 'name', (), np.float32).write(0, 0, np.ones(5))"
    done = run(code, tmp_path, check=True)
    assert Path(done.stdout.strip()).parent == tmp_path
    assert list(tmp_path.iterdir()) == []


@posix
def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path):
    code = "from skcry.windows.scratch import *; import numpy as np, os, signal; lease = Lease('key');"
    code += "ScratchArray('key', 'name', (), np.float32).write(0, 0, np.ones(5)); os.kill(os.getpid(), signal.SIGKILL)"
    assert run(code, tmp_path).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    code = "from skcry.windows.scratch import session_folder; print(*session_folder().parent.iterdir())"
    assert len(run(code, tmp_path, check=True).stdout.split()) == 1
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_session_that_lives_is_left_alone(folder):
    Lease("key")
    code = "from skcry.windows.scratch import session_folder; print(*session_folder().parent.iterdir())"
    assert len(run(code, folder, check=True).stdout.split()) == 2
    assert (session_folder() / "key").exists()


@posix
def test_workers_share_the_folder_of_the_session(folder):
    from joblib import Parallel, delayed

    def session_of_worker(folder):
        before = tempfile.tempdir, dict(scratch._sessions)
        tempfile.tempdir = folder
        scratch._sessions.clear()
        try:
            return session_folder()
        finally:  # joblib uses its workers again
            scratch._leave()
            tempfile.tempdir = before[0]
            scratch._sessions.update(before[1])

    here = session_folder()
    assert set(Parallel(n_jobs=2)(delayed(session_of_worker)(str(folder)) for _ in range(4))) == {here}
    assert here.exists()


@posix
def test_a_folder_of_someone_else_is_refused(folder, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(PermissionError, match="belongs to someone else"):
        session_folder()
    monkeypatch.undo()
    for path in folder.glob("skcry-12345-*"):
        shutil.rmtree(path)


def test_too_little_space_is_an_error_that_names_folder_and_bytes(folder, monkeypatch):
    free = shutil.disk_usage(folder)._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    make_room(400_000, "key")
    with pytest.raises(OSError, match=r"needs 600000 bytes") as caught:
        make_room(600_000, "key")
    assert str(folder) in str(caught.value)
    assert "TMPDIR" in str(caught.value)


def test_results_that_nobody_uses_make_room_the_oldest_first(folder, monkeypatch):
    leases = {name: Lease(name) for name in ("old", "used", "new")}
    for age, name in enumerate(leases):
        ScratchArray(name, "name", (), np.uint8).write(0, 0, np.ones(200_000))
        os.utime(session_folder() / name, (age, age))
    del leases["old"], leases["new"]
    taken = scratch.bytes_on_disk(session_folder())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, taken))
    make_room(90_000, "mine")
    assert {path.name for path in session_folder().iterdir() if path.is_dir()} == {"used", "new"}
    with pytest.raises(OSError, match="needs 900000 bytes"):
        make_room(900_000, "mine")
    assert {path.name for path in session_folder().iterdir() if path.is_dir()} == {"used"}


def test_a_removed_folder_is_made_again(folder):
    lease, array = Lease("key"), ScratchArray("key", "name", (), np.float32)
    array.write(0, 0, np.ones(5))
    shutil.rmtree(session_folder())
    for use in (lambda: array.read(0, 5), lambda: array.write(1, 5, np.ones(5)), lambda: array.filling().__enter__()):
        with pytest.raises(OSError, match="temporary files of training were removed"):
            use()
    again = Lease(lease.key)
    array.write(0, 0, np.ones(5))
    assert array.read(0, 5).tolist() == [1.0] * 5
    assert session_folder().exists()
    assert again.key == "key"


@posix
def test_without_locks_of_files_nothing_of_others_is_removed(folder, monkeypatch):
    def unsupported(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(_locks.fcntl, "flock", unsupported)
    other = folder / f"skcry-{os.getuid()}-elsewhere-1"
    other.mkdir()
    (other / "lock").touch()
    assert session_folder() != other
    assert other.exists()
    with ScratchArray(Lease("key").key, "name", (), np.float32).filling(wait=False) as mine:
        assert mine


def test_a_folder_that_cannot_be_used_is_not_replaced_silently(folder, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(folder / "missing"))
    with pytest.warns(UserWarning, match="missing cannot be written to, so temporary files are in"):
        session_folder()


@posix
def test_room_is_made_while_others_work(folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 150_000))
    problems = []

    def work(number):
        try:
            for turn in range(20):
                lease = Lease(f"key {number} {turn % 3}")
                array = ScratchArray(lease.key, "name", (), np.uint8)
                make_room(20_000, lease.key)
                array.write(0, 0, np.full(20_000, turn, np.uint8))
                assert (array.read(0, 20_000) == turn).all()
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems


def test_a_full_disk_is_an_error_that_names_the_folder(folder, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scratch, "_write_at", full)
    with pytest.raises(OSError, match="needs 40 bytes") as caught:
        ScratchArray("key", "name", (), np.float32).write(0, 0, np.ones(10))
    assert str(folder) in str(caught.value)


@posix
def test_an_array_is_filled_by_one_thread_at_a_time(folder):
    lease, order = Lease("key"), []
    array = ScratchArray("key", "name", (), np.float32)
    inside, done = threading.Event(), threading.Event()

    def fill():
        with ScratchArray(lease.key, "name", (), np.float32).filling() as mine:
            inside.set()
            done.wait()
            order.append(("thread", mine))

    thread = threading.Thread(target=fill)
    thread.start()
    inside.wait()
    with array.filling(wait=False) as mine:
        assert not mine
    done.set()
    with array.filling() as mine:
        order.append(("here", mine))
    thread.join()
    assert order == [("thread", True), ("here", True)]

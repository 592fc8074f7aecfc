"""A trial has one holder, and a dead one holds nothing."""

import os
import subprocess
import sys
import threading
import time

import pytest

from kit import copies
from taylored.lab.store import lease
from taylored.lab.store.lease import Leases


@pytest.fixture
def two(tmp_path):
    with Leases(tmp_path) as one, Leases(tmp_path) as other:
        yield one, other


def test_one_of_two_gets_it_until_it_is_given_back(two):
    one, other = two
    assert one.acquire("trial")
    assert one.acquire("trial")
    assert not other.acquire("trial")
    assert other.acquire("another")
    other.release("trial")  # not its own: nothing happens
    assert not other.acquire("trial")
    one.release("trial")
    assert other.acquire("trial")
    assert one.others() == [other.name]
    assert other.others() == [one.name]


def test_leaving_gives_everything_back_and_removes_the_folder(tmp_path):
    with Leases(tmp_path) as one:
        assert one.acquire("trial")
        with Leases(tmp_path) as other:
            assert not other.acquire("trial")
        assert one.others() == []
        assert (tmp_path / "leases").is_dir()
    assert not (tmp_path / "leases").exists()


def test_of_many_threads_one_takes_a_lease(tmp_path):
    holders = [Leases(tmp_path).__enter__() for _ in range(8)]
    for attempt in range(10):
        won = []
        barrier = threading.Barrier(len(holders))

        def begin(each, won=won, barrier=barrier, attempt=attempt):
            barrier.wait()
            if each.acquire(f"trial{attempt}"):
                won.append(each)

        threads = [threading.Thread(target=begin, args=(each,)) for each in holders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
    for each in holders:
        each.__exit__(None, None, None)
    assert not (tmp_path / "leases").exists()


def test_the_lease_of_a_killed_process_is_taken_over_at_once(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from taylored.lab.store.lease import Leases\n"
        "held = Leases(Path(sys.argv[1])).__enter__()\n"
        "print(held.acquire('trial'), flush=True); time.sleep(600)"
    )
    process = copies.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"True\n"
    with Leases(tmp_path) as one:
        assert not one.acquire("trial")
        assert len(one.others()) == 1
        process.kill()
        process.wait()
        process.stdout.close()
        if sys.platform == "linux":
            assert one.others() == []
            assert one.acquire("trial")
    assert not (tmp_path / "leases").exists()


def test_a_process_without_heartbeat_is_dead(two, monkeypatch):
    one, other = two
    assert one.acquire("trial")
    past = time.time() - 2 * lease.STALE_AFTER
    os.utime(one._file, (past, past))  # as if it slept, on this or another machine
    assert other.acquire("trial")
    assert other.others() == []
    os.utime(one._file)
    assert not one.acquire("trial"), "it has been taken over"


def test_a_heartbeat_keeps_it_alive_and_brings_a_removed_file_back(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT", 0.02)
    with Leases(tmp_path) as one:
        past = time.time() - 1000
        os.utime(one._file, (past, past))
        deadline = time.monotonic() + 10
        while one._file.stat().st_mtime < past + 500:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        one._file.unlink()
        while not one._file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_lease_with_nonsense_in_it_is_nobodys(two):
    one, other = two
    (one._folder / "trial.lease").write_text("../../etc")
    assert other.acquire("trial")


def test_what_a_killed_process_was_writing_is_swept_away(tmp_path):
    """Killed between the temporary file and its name; that of a living process stays."""
    script = (
        "import os, sys, pathlib\n"
        "from taylored.lab.store import files, lease\n"
        "def killed(*_):\n"
        "    print('written', flush=True)\n"
        "    sys.stdin.read()\n"
        "leases = lease.Leases(pathlib.Path(sys.argv[1]))\n"
        "files.os.link = killed\n"
        "leases.__enter__()\n"
    )
    writer = copies.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert writer.stdout.readline() == b"written\n"
        with Leases(tmp_path):
            pass
        left = [file.name for file in (tmp_path / "leases").iterdir()]
        assert len(left) == 1
        assert left[0].endswith(".tmp")
    finally:
        writer.kill()
        writer.wait()
    with Leases(tmp_path):
        pass
    assert not (tmp_path / "leases").exists()


def test_a_late_heartbeat_brings_nothing_back(tmp_path, monkeypatch):
    """The process leaves between the moment for a heartbeat and the heartbeat itself."""
    monkeypatch.setattr(lease, "HEARTBEAT", 0.01)
    beats, go_on, touch = threading.Event(), threading.Event(), os.utime

    def late(file):
        beats.set()
        go_on.wait(5)
        touch(file)

    monkeypatch.setattr(lease.os, "utime", late)
    leases = Leases(tmp_path)
    leases.__enter__()
    assert beats.wait(5)
    leaving = threading.Thread(target=leases.__exit__, args=(None, None, None))
    leaving.start()
    time.sleep(0.2)
    go_on.set()
    leaving.join()
    time.sleep(0.2)
    assert not (tmp_path / "leases").exists()

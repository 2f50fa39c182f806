"""What is removed from /dev/shm: what Fast DDS made and nobody holds any more, and nothing else."""

import fcntl
import os
import subprocess
import sys
import time

import pytest

from robot_finetune.ros.node.shared_memory import dead_ports, in_use, orphans, remove_orphans

DEAD, PORT = "fastdds_0123456789abcdef", "fastdds_port7411"
OTHERS = ("lttng-ust-wait-6", "fastdds_notes.txt", "fast_datasharing_1", "sem.somebody", "fastdds_0123456789abcdeX_el")
HOLD = """
import fcntl, sys, time
lock = open(sys.argv[1])
fcntl.flock(lock, int(sys.argv[2]))
print(flush=True)
time.sleep(99)
"""


@pytest.fixture
def folder(tmp_path):
    """A segment and a port as Fast DDS leaves them when it is killed, and files of others."""
    for name in (DEAD, f"{DEAD}_el", PORT, f"{PORT}_el", f"{PORT}_sl", f"sem.{PORT}_mutex", *OTHERS):
        (tmp_path / name).write_bytes(bytes(8192) if name in (DEAD, PORT) else b"")
        os.utime(tmp_path / name, (time.time() - 60,) * 2)
    return tmp_path


def names(folder):
    """Of all files, without the notes of dead ports."""
    return {path.name for path in folder.iterdir() if not path.name.startswith("robot_finetune")}


def test_what_a_killed_process_left_is_removed_and_nothing_else(folder):
    assert set(orphans(folder)) == {DEAD, PORT} and orphans(folder)[DEAD] >= 8192
    assert remove_orphans(folder) >= 2 * 8192
    assert names(folder) == set(OTHERS) and remove_orphans(folder) == 0


@pytest.mark.parametrize("lock", [f"{DEAD}_el", f"{PORT}_el", f"{PORT}_sl"])
@pytest.mark.parametrize("kind", [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_what_a_living_process_holds_stays_until_it_is_killed(folder, lock, kind):
    before = names(folder)
    owner = subprocess.Popen([sys.executable, "-c", HOLD, folder / lock, str(int(kind))], stdout=subprocess.PIPE)
    try:
        owner.stdout.readline()
        remove_orphans(folder)
        held = {name for name in before if lock[:-3] in name}
        assert names(folder) == held | set(OTHERS)
    finally:
        owner.kill()
        owner.communicate()
    remove_orphans(folder)
    assert names(folder) == set(OTHERS)


def test_a_lock_that_is_just_being_made_is_left_alone(folder):
    os.utime(folder / f"{DEAD}_el")
    remove_orphans(folder)
    assert DEAD in names(folder) and PORT not in names(folder)


def test_a_system_without_the_folder_has_nothing_to_clean(tmp_path):
    assert remove_orphans(tmp_path / "shm") == 0


def test_ports_of_the_dead_are_known_for_as_long_as_somebody_lives_who_wrote_to_them(folder):
    """A process that holds a segment since before that; it ends, and another one begins."""
    assert in_use(7411, folder)
    lock = folder / "fastdds_aaaaaaaaaaaaaaaa_el"
    lock.touch()
    with lock.open() as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        os.utime(lock, (time.time() - 100,) * 2)
        remove_orphans(folder)
        assert dead_ports(folder) == {7411} and not in_use(7411, folder)
        remove_orphans(folder)
        assert dead_ports(folder) == {7411}
        os.utime(lock, (time.time() + 100,) * 2)
        remove_orphans(folder)
        assert not dead_ports(folder)


def test_a_port_that_nobody_will_finish_is_removed(folder):
    """Its maker was killed meanwhile, and has no lock yet; who has just begun one, and ports of writers, stay."""
    stuck, fresh, sound = (folder / f"fastdds_port{number}" for number in (7002, 7003, 7004))
    for path in (stuck, fresh):
        path.write_bytes(bytes(64))
    sound.write_bytes(b"\x02\0\0\0" + bytes(64))
    for path in (stuck, sound):
        os.utime(path, (time.time() - 60,) * 2)
    remove_orphans(folder)
    assert not stuck.exists() and fresh.exists() and sound.exists()

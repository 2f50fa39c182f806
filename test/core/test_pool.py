"""Worker processes end with whoever started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import os, time
from robot_finetune.experiments.pool import worker_pool

def job(folder):
    open(os.path.join(folder, str(os.getpid())), "w").close()
    time.sleep(600)

if __name__ == "__main__":
    with worker_pool(2, 1) as pool:
        pool.map(job, [{folder!r}] * 2, chunksize=1)
"""
PATIENCE = 60.0


def alive(pid):
    return Path(f"/proc/{pid}").is_dir() and " Z " not in Path(f"/proc/{pid}/stat").read_text()


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_benchmark_leaves_no_worker(tmp_path):
    (tmp_path / "pids").mkdir()
    (tmp_path / "program.py").write_text(PROGRAM.format(folder=str(tmp_path / "pids")))
    process = subprocess.Popen([sys.executable, str(tmp_path / "program.py")])
    wait_until(lambda: len(os.listdir(tmp_path / "pids")) == 2)
    workers = [int(name) for name in os.listdir(tmp_path / "pids")]
    assert all(map(alive, workers))
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not any(map(alive, workers)))

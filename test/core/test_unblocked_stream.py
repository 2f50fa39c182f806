"""What is shown never holds up what works."""

import io
import os
import time

from robot_finetune.session.progress import Progress, View
from robot_finetune.session.unblocked_stream import MOST, UnblockedStream


def test_texts_come_in_order_and_all_are_there_after_draining():
    stream = io.StringIO()
    shown = UnblockedStream(stream)
    for number in range(200):
        shown.write(f"{number}\n")
    shown.drain(10.0)
    assert stream.getvalue().splitlines() == [str(number) for number in range(200)] and not shown.busy


def test_a_pipe_that_nobody_reads_holds_up_nobody_and_shows_no_stale_views():
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        progress = Progress(pipe)
        for _ in range(2 * MOST):
            progress.say("x" * 1000)
        progress.show(View(phase="stale"))
        progress.drain(0.2)
        seen, lines = "", 0
        while lines < MOST:  # somebody reads again
            seen = os.read(reading, 1 << 20).decode()
            lines += seen.count("\n")
            assert "stale" not in seen
        progress.drain()
        progress.show(View(phase="fresh"))
        progress.drain()
        assert "fresh" in os.read(reading, 1 << 20).decode()
    os.close(reading)


def test_a_closed_terminal_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        shown = UnblockedStream(pipe)
        for _ in range(3):
            shown.write("nobody sees this\n")
            time.sleep(0.02)
        shown.drain(10.0)
        assert not shown.busy

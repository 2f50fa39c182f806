"""The live view: one block on a terminal, plain lines elsewhere."""

import io
import re
from dataclasses import replace

from robot_finetune.session.progress import Progress, View, clock
from robot_finetune.stats import Proportion

VIEW = View(
    title="offset",
    phase="finetune",
    done=50,
    target=200,
    success=Proportion(20, 50),
    recent=Proportion(20, 40),
    before=Proportion(10, 100),
    version=3,
    trainer="training",
    updates=120,
    loss=0.25,
    per_minute=60.0,
    seconds_left=250.0,
)


class Terminal(io.StringIO):
    """Understands just what a view writes: lines, and going up to erase them."""

    def isatty(self):
        return True

    def screen(self):
        lines = []
        for up, text in re.findall(r"(?:\x1b\[(\d+)F\x1b\[J)?([^\x1b]*)", self.getvalue()):
            if up:
                del lines[-int(up) :]
            lines += text.splitlines()
        return lines


def test_a_terminal_shows_the_newest_view_below_the_lines_that_stay(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    terminal = Terminal()
    progress = Progress(terminal)
    progress.say("first")
    progress.drain()
    progress.show(VIEW)
    progress.say("second")
    progress.drain()
    progress.show(VIEW)
    progress.drain()
    assert terminal.screen() == ["first", "second", *VIEW.block()]
    progress.clear()
    progress.say("third")
    progress.drain()
    assert terminal.screen() == ["first", "second", "third"]


def test_a_narrow_terminal_wraps_no_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    terminal = Terminal()
    progress = Progress(terminal)
    progress.show(VIEW)
    progress.drain()
    assert len(terminal.screen()) == len(VIEW.block()) and max(map(len, terminal.screen())) < 30


def test_a_file_gets_one_line_a_view_without_control_characters():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.show(VIEW)
    progress.drain()
    assert not progress.due
    (line,) = stream.getvalue().splitlines()
    assert line.isprintable() and "finetune 50/200" in line and "success 40 % [28, 54]" in line
    assert "version 3" in line and "120 updates, loss 0.250" in line and "4:10 left" in line


def test_the_block_tells_of_grasps_success_version_updates_and_loss():
    text = "\n".join(VIEW.block())
    for part in ("50/200", "40 % [28, 54]", "before: 10 %", "version 3", "120 updates", "loss 0.250", "60 grasps"):
        assert part in text
    assert View().block() and View().line()


def test_discarded_episodes_are_shown():
    assert "discarded" not in VIEW.line()
    view = replace(VIEW, discarded=3)
    assert "3 discarded" in view.line() and "3 discarded" in view.block()[1]


def test_durations():
    assert [clock(seconds) for seconds in (0, 59.6, 250, 3725)] == ["0:00", "1:00", "4:10", "1:02:05"]

"""One wish to end is one, however many signals it comes as; a second wish ends at once."""

import os
import signal

import pytest

from robot_finetune.session import stop_request as module
from robot_finetune.session.stop_request import SIGNALS, stop_request


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_question_and_handlers_come_back(number):
    before = signal.getsignal(number)
    with stop_request() as asked:
        assert not asked()
        os.kill(os.getpid(), number)
        assert asked()
    assert signal.getsignal(number) is before


def test_signals_to_a_process_and_its_group_are_one_wish():
    with stop_request() as asked:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            os.kill(os.getpid(), number)
        assert asked()


def test_a_second_wish_ends_at_once(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", -1.0)
    with stop_request():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGHUP)  # a closed terminal is none
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

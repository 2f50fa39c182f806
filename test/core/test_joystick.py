"""What a joystick says a person wants: nothing without its button or after a silence, never more than full speed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.config import ConfigError, from_mapping
from robot_finetune.robot.joystick import MOST, Joystick, JoystickConfig
from robot_finetune.teleop.keys import LINGER, Keys

CONFIG = JoystickConfig(hold=2, close=0, open=1, axes=(1, 0, 3, -1), scale=(1.0, -0.5, 1.0, 1.0), deadband=0.2)


class Time:
    def __init__(self):
        self.now = 50.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def joystick(time):
    return Joystick(CONFIG, time)


def test_axes_are_mapped_scaled_and_dead_around_their_centre(joystick):
    joystick.hear([1.0, 0.19, 0.7, -0.6], [0, 0, 1])
    np.testing.assert_allclose(joystick.wish().motion, [0.0, -0.5, -0.5, 0.0])
    joystick.hear([], [0, 0, 1])
    assert not joystick.wish().moves, "a joystick without these axes moves nothing"


def test_nothing_is_wanted_unless_the_button_is_held(joystick):
    assert joystick.wish() is None
    joystick.hear([1.0] * 4, [1, 1, 0])
    assert joystick.wish() is None
    joystick.hear([1.0] * 4, [1, 1])
    assert joystick.wish() is None, "a joystick without the button"
    joystick.hear([1.0] * 4, [1, 1, 1])
    wish = joystick.wish()
    assert wish.moves and not wish.close and not wish.open, "they were pressed before it was held"


def test_a_press_counts_once_until_it_is_served_or_the_button_let_go(joystick):
    joystick.hear([], [0, 0, 1])
    joystick.hear([], [1, 0, 1])
    joystick.hear([], [0, 0, 1])
    assert joystick.wish().close and joystick.wish().close
    joystick.served()
    assert not joystick.wish().close
    joystick.hear([], [0, 1, 1])
    assert joystick.wish().open
    joystick.hear([], [0, 1, 0])
    joystick.hear([], [0, 1, 1])
    assert not joystick.wish().open


def test_a_joystick_that_falls_silent_holds_until_it_is_heard_or_forgotten(joystick, time):
    joystick.hear([1.0] * 4, [0, 0, 1])
    time.now += CONFIG.timeout + 0.01
    wish = joystick.wish()
    assert wish.silent and not (wish.moves or wish.close or wish.open)
    assert not joystick.wait(0.0), "nobody is there to begin a grasp"
    joystick.hear([1.0] * 4, [0, 0, 1])
    assert joystick.wish().moves and joystick.wait(0.0)
    time.now += CONFIG.timeout + 0.01
    joystick.forget()
    assert joystick.wish() is None


@given(st.lists(st.floats(width=32), max_size=MOST + 2), st.lists(st.integers(-(2**31), 2**31 - 1), max_size=MOST + 2))
def test_whatever_is_heard_no_motion_is_more_than_full_and_what_is_no_joystick_ages(axes, buttons):
    time = Time()
    joystick = Joystick(CONFIG, time)
    joystick.hear([0.0] * 4, [0, 0, 1])
    time.now += 1.0
    try:
        joystick.hear(axes, buttons)
    except ValueError as error:
        assert len(str(error)) < 200 and joystick.wish().silent
    else:
        wish = joystick.wish()
        assert (wish is None) == (len(buttons) < 3 or buttons[2] <= 0)
        assert wish is None or (np.abs(wish.motion) <= 1.0).all()


def test_two_jobs_for_one_button_are_refused():
    with pytest.raises(ConfigError, match="each needs its own button"):
        from_mapping(JoystickConfig, {"hold": 1})


def test_keys_are_a_joystick_that_holds_until_space_comes_again(time):
    keys, joystick = Keys(clock=time), Joystick(clock=time)

    def wish():
        joystick.hear(*keys.state())
        return joystick.wish()

    keys.press("w")
    assert wish() is None
    keys.press(" ")
    keys.press("d")
    np.testing.assert_array_equal(wish().motion, [1, -1, 0, 0])
    time.now += LINGER
    assert not wish().moves
    keys.press("c")
    assert wish().close and not wish().open
    keys.press(" ")
    assert wish() is None

"""How fast a simulated cell's time passes: a wall clock that the test turns by hand."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from robot_finetune.sim.pacing import COAST, Pace, Schedule

TICK = 0.01


class Wall:
    now = 100.0

    def __call__(self):
        return self.now


def run(pace, wall, ticks, busy=False, start=0.0):
    """Wall seconds that `ticks` of the cell take, if computing one takes no time."""
    begin = wall.now
    for index in range(ticks):
        wall.now += pace.wait(start + index * TICK, busy)
    return wall.now - begin


@given(st.floats(0.1, 100))
def test_a_factor_is_cell_seconds_a_second(factor):
    wall = Wall()
    assert run(Pace(factor, wall), wall, 1001, busy=True) == pytest.approx(10 / factor, rel=1e-6)


def test_factor_zero_hurries_through_motions_and_settling_and_rests_in_real_time():
    wall = Wall()
    pace = Pace(0.0, wall)
    assert run(pace, wall, 500, busy=True) == 0 and pace.hurries
    coasting = round(COAST / TICK) - 1
    assert run(pace, wall, coasting, start=5.0) == 0 and pace.hurries
    assert run(pace, wall, 101, start=5.0 + COAST) == pytest.approx(1.0) and not pace.hurries


def test_a_long_delay_is_not_made_up_for():
    wall = Wall()
    pace = Pace(1.0, wall)
    run(pace, wall, 10)
    wall.now += 5.0
    assert run(pace, wall, 101, start=0.1) == pytest.approx(1.0, abs=0.05)


@given(st.floats(1.0, 50.0))
@example(17.91767151882005)
def test_schedule_keeps_its_rate_on_average(rate):
    schedule = Schedule(1 / rate, 1.0, Wall())
    times = [tick * TICK for tick in range(1001) if schedule.due(tick * TICK, hurries=False)]
    assert len(times) == pytest.approx(10 * rate, abs=1.5)


def test_schedule_in_a_hurry_is_limited_by_the_wall_clock():
    wall = Wall()
    schedule = Schedule(0.03, 0.03, wall)
    assert schedule.due(0.0, hurries=True)
    assert not any(schedule.due(tick * TICK, hurries=True) for tick in range(1, 100))
    wall.now += 0.04
    assert schedule.due(1.0, hurries=True)
    assert schedule.due(1.1, hurries=False), "overdue when the cell comes to rest"

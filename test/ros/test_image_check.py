"""What the image check reports, from numbered publications and arrivals."""

import pytest

from robot_finetune.session.image_check import image_figures

MS = 1_000_000


def stamp(i):
    return (i // 30, i % 30)


def run_of(count, latency_ms=3, lost=(), unheard=()):
    published = {stamp(i): (100 + i, i * 33 * MS) for i in range(count) if i not in unheard}
    arrived = {stamp(i): (i * 33 + latency_ms) * MS for i in range(count) if i not in lost}
    return image_figures(published, arrived)


def test_a_steady_camera():
    figures = run_of(61)
    assert figures["hz"] == pytest.approx(1000 / 33, abs=0.01) and figures["lost"] == 0
    assert figures["p50_ms"] == figures["p95_ms"] == 3.0


def test_lost_images_are_counted_also_where_the_check_itself_did_not_hear_them():
    assert run_of(50, lost=(7, 8, 20))["lost"] == 3
    assert run_of(50, unheard=(9, 10))["lost"] == 0
    assert run_of(50, lost=(9,), unheard=(9,))["lost"] == 1


def test_nothing_came_through():
    assert run_of(1) == {} and image_figures({}, {}) == {}

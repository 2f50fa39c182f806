"""What has arrived of episodes, under floods of ids, steps and bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.data import open_episodes
from robot_finetune.data.open_episodes import OpenEpisodes
from robot_finetune.types import MOST_STEPS


def taken(episodes):
    return [(episode.episode_id, sorted(episode.steps), episode.complete) for episode in episodes.take(100)]


def test_an_episode_is_complete_with_its_outcome_and_all_steps():
    episodes = OpenEpisodes()
    episodes.add_step("a", 1, "second", 1)
    episodes.add_outcome("a", "good", 2)
    assert taken(episodes) == []
    episodes.add_step("a", 0, "first", 1)
    episodes.add_step("b", 0, "first", 1)
    assert taken(episodes) == [("a", [0, 1], True)] and taken(episodes) == []


def test_what_came_first_stays():
    episodes = OpenEpisodes()
    episodes.add_step("a", 0, "real", 1)
    episodes.add_step("a", 0, "spoofed", 1)
    episodes.add_outcome("a", "real", 1)
    (episode,) = episodes.take(1)
    assert episode.steps == {0: "real"}


def test_announced_episodes_outlive_a_flood_of_others():
    episodes = OpenEpisodes()
    episodes.announce("real")
    episodes.add_step("real", 0, "step", 1)
    for number in range(1000):
        episodes.add_step(f"other{number}", 0, "step", 10_000_000)
        episodes.add_outcome(f"another{number}", "outcome", 3)
    episodes.add_outcome("real", "outcome", 1)
    assert ("real", [0], True) in taken(episodes)
    assert not episodes.lost, "nobody asked for the others"


def test_announced_episodes_that_have_to_go_are_told_of():
    episodes = OpenEpisodes()
    for number in range(open_episodes.EPISODES + 1):
        episodes.announce(f"e{number}")
        episodes.add_outcome(f"e{number}", "outcome", 2)
    assert [lost.episode_id for lost in episodes.lost] == ["e0"]


def test_a_discarded_episode_is_forgotten():
    episodes = OpenEpisodes()
    episodes.add_step("a", 0, "step", 1)
    episodes.forget("a")
    episodes.add_outcome("a", "outcome", 1)
    assert taken(episodes) == []


def test_a_judged_episode_whose_step_cannot_be_used_is_hopeless():
    episodes = OpenEpisodes()
    episodes.announce("a")
    episodes.refuse("a", "step 0: its image is black")
    episodes.refuse("unknown", "nonsense")
    episodes.add_outcome("a", "outcome", 1)
    assert taken(episodes) == [("a", [], False)]


@pytest.mark.parametrize("index", [-1, MOST_STEPS, 2**32 - 1])
def test_steps_that_no_episode_has_are_refused(index):
    with pytest.raises(ValueError, match="at most"):
        OpenEpisodes().add_step("a", index, "step", 1)


EVENTS = st.tuples(st.sampled_from(("step", "outcome", "announce")), st.integers(0, 200), st.integers(0, 99))


@given(st.lists(EVENTS, max_size=400))
@settings(max_examples=50, deadline=None)
def test_memory_is_bounded(events):
    episodes = OpenEpisodes()
    for kind, name, number in events:
        if kind == "step":
            episodes.add_step(str(name), number, "step", 5_000_000)
        elif kind == "outcome":
            episodes.add_outcome(str(name), "outcome", number + 1)
        else:
            episodes.announce(str(name))
    assert len(episodes._open) <= open_episodes.EPISODES and len(episodes._announced) <= open_episodes.ANNOUNCED
    assert sum(episode.size for episode in episodes._open.values()) <= open_episodes.BYTES

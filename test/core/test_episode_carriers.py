"""Episodes reach a trainer elsewhere whole, however often the way is cut, and bringing them again changes nothing."""

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_episodes import assert_same, random_episode

from robot_finetune.data.courier import Courier
from robot_finetune.data.episode_carriers import EpisodeFetcher, EpisodeSender
from robot_finetune.data.episode_log import read_episode, write_episode
from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.data.label_log import Label, add_label
from robot_finetune.data.remote import RemoteError, RemoteFolder

DISCARDED = {"session-000001", "session-000002"}


def going_on():
    return False


@pytest.fixture(params=["memory", "file", "s3"])
def url(request, tmp_path):
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/a"
    return f"{request.param}://{tmp_path}/elsewhere"


def test_episodes_and_what_people_say_of_them_come_to_the_trainer(url, tmp_path):
    robot, trainer = tmp_path / "robot", tmp_path / "trainer"
    sender, fetcher = EpisodeSender(robot, url), EpisodeFetcher(url, trainer)
    for carrier in (sender, fetcher):
        carrier.carry(going_on)
    assert not list(trainer.iterdir())
    made = {seed: random_episode(seed, size=8) for seed in range(3)}
    for episode in made.values():
        write_episode(robot, episode)
    add_label(robot, Label("session-000001", "discard", "operator"))
    sender.carry(going_on)
    fetcher.carry(going_on)
    store = EpisodeStore(trainer)
    read = [read_episode(path) for path in store.poll()]
    for episode, there in zip(made.values(), read, strict=True):
        assert_same(episode, there)
    assert store.discarded == {"session-000001"}
    add_label(robot, Label("session-000002", "discard", "operator"))
    EpisodeSender(robot, url).carry(going_on)  # of a logger that was started again
    EpisodeFetcher(url, trainer).carry(going_on)
    assert not store.poll() and {label.episode_id for label in store.relabelled()} == DISCARDED


class Cut(RemoteFolder):
    """A line that is cut at some of the calls, before or after the file is there."""

    calls, cut = 0, {}

    def write(self, name, data):
        Cut.calls += 1
        when = Cut.cut.get(Cut.calls)
        if when == "before":
            raise RemoteError(errno.ECONNRESET, "cut")
        super().write(name, data)
        if when == "after":
            raise RemoteError(errno.ECONNRESET, "cut")


@settings(max_examples=15, deadline=None)
@given(cut=st.dictionaries(st.integers(1, 12), st.sampled_from(["before", "after"])), restarts=st.booleans())
def test_nothing_is_lost_or_doubled_however_the_line_is_cut(tmp_path_factory, cut, restarts):
    robot, trainer = tmp_path_factory.mktemp("robot"), tmp_path_factory.mktemp("trainer")
    url = f"file://{tmp_path_factory.mktemp('elsewhere')}"
    names = sorted(write_episode(robot, random_episode(seed, size=8)).name for seed in range(4))
    Cut.calls, Cut.cut = 0, cut
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("robot_finetune.data.episode_carriers.RemoteFolder", Cut)
        sender = EpisodeSender(robot, url)
        for _ in range(20):
            try:
                sender.carry(going_on)
                break
            except OSError as error:
                assert "episodes wait for their way to the trainer" in str(error) and "\n" not in str(error)
                sender = EpisodeSender(robot, url) if restarts else sender
    EpisodeFetcher(url, trainer).carry(going_on)
    assert sorted(path.name for path in trainer.iterdir()) == names
    assert all((trainer / name).read_bytes() == (robot / name).read_bytes() for name in names)


def test_a_file_that_is_too_large_is_left_there_and_the_others_come(tmp_path, monkeypatch):
    url = f"file://{tmp_path}/elsewhere"
    RemoteFolder(url).write("a.mcap", bytes(100))
    RemoteFolder(url).write("b.mcap", bytes(10))
    monkeypatch.setattr("robot_finetune.data.episode_carriers.FILE_LIMIT", 50)
    with pytest.raises(RemoteError, match="a.mcap: .*too large"):
        EpisodeFetcher(url, tmp_path / "here").carry(going_on)
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["b.mcap"]


def test_a_courier_says_why_it_waits_and_forgets_it_when_it_goes_on(monkeypatch):
    monkeypatch.setattr("robot_finetune.data.courier.PERIOD", 0.001)
    said, errors = [], [OSError("no\nroute"), OSError("no\nroute"), None, OSError("full")]

    def carry(closing):
        said.append(courier.late)
        error = errors.pop(0)
        if not errors:
            courier.close()
        if error:
            raise error
        assert not closing()

    courier = Courier(carry)
    courier.run()
    assert [*said, courier.late] == ["", "no route", "no route", "", "full"]

"""A node does not listen in Fast DDS where a killed one did."""

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from robot_finetune.ros.environment import LOOPBACK, missing_environment
from robot_finetune.ros.node import fast_dds
from robot_finetune.ros.node.fast_dds import own_port, profiles_variable

FIRST = 7411 + 250 * 7
OURS = missing_environment({}, LOOPBACK)[profiles_variable(os.environ)]


@pytest.fixture
def killed(monkeypatch):
    """killed(dead, used): processes of domain 7 that had such participant ids, and those that have."""

    def tell(dead=(), used=()):
        monkeypatch.setattr(fast_dds, "dead_ports", lambda: {FIRST + 2 * participant for participant in dead} | {1})
        monkeypatch.setattr(fast_dds, "in_use", lambda port: port in {FIRST + 2 * participant for participant in used})

    monkeypatch.setattr(fast_dds, "remove_orphans", lambda: 0)
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    monkeypatch.setenv(profiles_variable(os.environ), OURS)
    tell(dead=[0])
    return tell


def participant():
    """The id that a node made now would be given; None if that is left to Fast DDS."""
    with own_port():
        made = Path(os.environ[profiles_variable(os.environ)])
        found = [e.text for e in ElementTree.fromstring(made.read_text()).iter() if e.tag.endswith("participantID")]
    assert os.environ[profiles_variable(os.environ)] == OURS
    assert made.exists() == (str(made) == OURS), "what was written for it is gone"
    return int(found[0]) if found else None


def test_the_lowest_port_that_nobody_has_or_had_is_chosen(killed):
    killed(dead=[1, 2], used=[0, 3])
    assert participant() == 4
    killed(dead=[5], used=[0, 1])
    assert participant() == 2


def test_where_nobody_was_killed_or_no_port_is_left_fast_dds_chooses(killed):
    killed(used=[0, 1])
    assert participant() is None
    killed(dead=range(32))
    assert participant() is None


@pytest.mark.parametrize("content", ["<dds><rtps><participantID>3</participantID></rtps></dds>", "<dds/>", None])
def test_profiles_that_say_it_or_cannot_be_read_are_used_as_they_are(killed, monkeypatch, tmp_path, content):
    path = tmp_path / "own.xml"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(profiles_variable(os.environ), str(path))
    with own_port():
        assert os.environ[profiles_variable(os.environ)] == str(path)


def test_another_middleware_needs_none(killed, monkeypatch):
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    assert participant() is None

"""A node's ports in Fast DDS are its own."""

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from robot_finetune.ros.environment import LOOPBACK, missing_environment
from robot_finetune.ros.node.fast_dds import PARTICIPANTS, own_ports, profiles_variable


def test_the_profiles_get_a_participant_id_for_as_long_as_the_node_is_made(monkeypatch):
    given = missing_environment({}, LOOPBACK)[profiles_variable(os.environ)]
    monkeypatch.setenv(profiles_variable(os.environ), given)
    with own_ports():
        made = Path(os.environ[profiles_variable(os.environ)])
        root = ElementTree.fromstring(made.read_text())
    (number,) = [element.text for element in root.iter() if element.tag.endswith("participantID")]
    assert int(number) in PARTICIPANTS
    assert made.name != Path(given).name and not made.exists()
    assert os.environ[profiles_variable(os.environ)] == given


@pytest.mark.parametrize("content", ["<dds><rtps><participantID>3</participantID></rtps></dds>", "<dds/>", None])
def test_profiles_that_say_it_or_cannot_be_read_are_used_as_they_are(monkeypatch, tmp_path, content):
    path = tmp_path / "own.xml"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(profiles_variable(os.environ), str(path))
    with own_ports():
        assert os.environ[profiles_variable(os.environ)] == str(path)


def test_another_middleware_needs_none(monkeypatch):
    given = missing_environment({}, LOOPBACK)[profiles_variable(os.environ)]
    monkeypatch.setenv(profiles_variable(os.environ), given)
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    with own_ports():
        assert os.environ[profiles_variable(os.environ)] == given

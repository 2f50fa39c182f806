"""Configuration: what a user may write, and what he is told when he writes something else."""

from dataclasses import dataclass

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.config import (
    ConfigError,
    describe,
    from_mapping,
    from_yaml,
    load_yaml,
    resolve,
    setting,
    share_path,
    to_mapping,
)
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.sim.variations import Variation


@dataclass(frozen=True)
class Light:
    intensity: float = setting(0.5, "brightness", unit="lx", low=0.0, high=2.0)
    color: tuple[float, float, float] = setting((1.0, 1.0, 1.0), "colour", low=0.0, high=1.0)


@dataclass(frozen=True)
class Scene:
    name: str = setting(description="what it is called")
    count: int = setting(5, "objects", low=1, high=12)
    floor: str = setting("plain", "pattern", choices=("plain", "checkerboard"))
    shadows: bool = setting(False, "whether there are any")
    heights: tuple[float, ...] = setting((), "any number of heights", unit="m", low=-1.0, high=1.0)
    limit: float | None = setting(None, "none, or a limit", low=0.0)
    light: Light = setting(Light)


unit = st.floats(0, 1)
scenes = st.builds(
    Scene,
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    count=st.integers(1, 12),
    floor=st.sampled_from(["plain", "checkerboard"]),
    shadows=st.booleans(),
    heights=st.lists(st.floats(-1, 1), max_size=4).map(tuple),
    limit=st.none() | st.floats(0, 1e6),
    light=st.builds(Light, intensity=st.floats(0, 2), color=st.tuples(unit, unit, unit)),
)


@given(scenes)
def test_what_is_written_is_read_again(scene):
    text = yaml.safe_dump(to_mapping(scene))
    assert from_mapping(Scene, yaml.safe_load(text), "scene") == scene


@pytest.mark.parametrize("cls", [RobotProfile, Variation])
def test_defaults_are_within_their_own_bounds(cls):
    assert from_mapping(cls, to_mapping(cls()), cls.__name__) == cls()


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ({"name": "a", "count": 13}, ["bin.yaml", "count", "13", "1 to 12"]),
        ({"name": "a", "count": 2.5}, ["count", "2.5", "int", "float"]),
        ({"name": "a", "count": True}, ["count", "True", "int"]),
        ({"name": "a", "shadows": 1}, ["shadows", "1", "bool"]),
        ({"name": 3}, ["name", "3", "str"]),
        ({"name": "a", "floor": "marble"}, ["floor", "'marble'", "plain, checkerboard"]),
        ({"name": "a", "heights": [0.5, 2.0]}, ["heights", "2.0", "-1.0 to 1.0 m"]),
        ({"name": "a", "heights": 0.5}, ["heights", "0.5", "list"]),
        ({"name": "a", "limit": -1.0}, ["limit", "-1.0"]),
        ({"name": "a", "light": {"intensity": 3.0}}, ["light: intensity", "3.0", "0.0 to 2.0 lx"]),
        ({"name": "a", "light": {"color": [1, 1]}}, ["light: color", "3 values"]),
        ({"name": "a", "light": 0.3}, ["light", "0.3", "group"]),
        ({"name": "a", "cuont": 3}, ["'cuont'", "did you mean 'count'", "shadows"]),
        ({}, ["'name' is missing", "what it is called"]),
    ],
)
def test_an_error_is_one_line_with_place_value_and_what_is_allowed(data, parts):
    with pytest.raises(ConfigError) as error:
        from_mapping(Scene, data, "bin.yaml")
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_whole_number_is_a_float():
    assert from_mapping(Scene, {"name": "a", "light": {"intensity": 1}}).light.intensity == 1.0


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name: [a", ":2: not valid YAML"),
        ("- a\n- b", "expected `key: value` lines"),
        ("name: a\n b: c", ":2: not valid"),
    ],
)
def test_a_corrupt_file_is_named_with_its_line(tmp_path, text, part):
    path = tmp_path / "scene.yaml"
    path.write_text(text + "\n")
    with pytest.raises(ConfigError) as error:
        from_yaml(Scene, path)
    assert str(path) in str(error.value) and part in str(error.value) and "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_yaml(tmp_path / "none.yaml")
    (tmp_path / "picture.yaml").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ConfigError, match=r"picture\.yaml: not valid YAML"):
        load_yaml(tmp_path / "picture.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_yaml(tmp_path / "empty.yaml") == {}


def test_a_name_or_a_path_finds_a_file(tmp_path):
    assert resolve("variations", "base") == share_path("config", "variations", "base.yaml")
    own = tmp_path / "own.yaml"
    own.write_text("name: own\n")
    assert resolve("variations", own) == own
    with pytest.raises(
        ConfigError, match=r"unknown variation 'bsae': did you mean 'base'\? there are base, .* or give a path"
    ):
        resolve("variations", "bsae")
    with pytest.raises(ConfigError, match=r"missing\.yaml: no such file; give a name from config/robots"):
        resolve("robots", tmp_path / "missing.yaml")


def test_description_tells_default_unit_and_bounds():
    assert "count = 5 [1, 12]: objects" in describe(Scene)
    assert "intensity = 0.5 lx [0.0, 2.0]: brightness" in describe(Light)


@dataclass(frozen=True)
class Evening:
    light: Light = setting(Light(intensity=0.1, color=(1.0, 0.6, 0.3)))


def test_a_partial_group_keeps_the_other_defaults_of_its_field():
    assert from_mapping(Evening, {"light": {"intensity": 0.2}}).light == Light(0.2, (1.0, 0.6, 0.3))
    assert from_mapping(Evening, {}).light == Light(0.1, (1.0, 0.6, 0.3))

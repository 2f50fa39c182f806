"""Files from outside: whatever their bytes, a reader returns or says in one line of its own what is wrong."""

import os
import subprocess
import sys

import pytest
from fuzz.readers import READERS, mutations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_finetune.config import ConfigError, load_json, load_yaml
from robot_finetune.files import NESTING, TEXT_LIMIT, parse_json, parse_yaml, read_file, to_json
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.variations import load_variation

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize("name", READERS)
def test_a_sound_file_is_accepted(tmp_path, name):
    reader = READERS[name]
    assert reader.read(reader.valid(tmp_path / "f"), tmp_path / "f")


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_bytes_raise_anything_but_our_own_errors(tmp_path, name, data):
    reader = READERS[name]
    reader.read(data.draw(mutations(reader.valid(tmp_path / "f"))), tmp_path / "f")


BOMBS = {
    "aliases": "name: [&a [x,x,x,x,x,x,x,x,x]"
    + "".join(f", &{new} [{','.join(['*' + old] * 9)}]" for old, new in zip("abcdefg", "bcdefgh", strict=True))
    + "]\n",
    "nesting": "name: " + "[" * 100_000,
    "size": "# " + "x" * 50_000_000,
    "number": "name: " + "1" * 100_000,
    "text": "name: [" + "x," * 60_000 + "]",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_before_it_takes_memory(tmp_path, bomb):
    (tmp_path / "bomb.yaml").write_text(BOMBS[bomb])
    program = f"""
import resource
from robot_finetune.config import ConfigError
from robot_finetune.sim.variations import load_variation
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
try:
    load_variation("{tmp_path}/bomb.yaml")
except ConfigError as error:
    assert len(str(error)) < 500, len(str(error))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown < 300_000
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "refused\n", done.stderr


@pytest.mark.parametrize(
    "text",
    ["name: 2001-99-99", "name: 0b_", "name: !!int x", "name: !!timestamp x", "name: " + "[" * 3000]
    + ["name: " + "1" * 5000, "gripper: {offset_m: 1" + "0" * 400 + "}", 'name: "\\ud800"', 'name: "a\\0"']
    + ["? [a]\n: b", "name: &a x\ndescription: *a", "1" * 3000 + ": a", "gripper: {offset_m: .nan}"],
)
def test_what_a_parser_stumbles_over_is_one_line_with_the_file(tmp_path, text):
    (tmp_path / "x.yaml").write_text("\n" + text)
    with pytest.raises(ConfigError, match=r"x\.yaml") as error:
        load_variation(tmp_path / "x.yaml")
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_the_line_of_an_alias_is_named(tmp_path):
    (tmp_path / "x.yaml").write_text("name: &a x\n\ndescription: *a\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:3: .*aliases"):
        load_yaml(tmp_path / "x.yaml")


@pytest.mark.parametrize("key", ["floor_z", "bin_half_width"])
@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf"])
def test_no_number_of_a_profile_is_not_finite(tmp_path, key, value):
    (tmp_path / "r.yaml").write_text(f"name: sim\n{key}: {value}\nstart_pose: [0.6, 0, 0.2, 0]")
    with pytest.raises(ConfigError, match=f"{key} = .*finite"):
        load_robot(tmp_path / "r.yaml")
    (tmp_path / "r.yaml").write_text(f"name: sim\nstart_pose: [0.6, 0, 0.2, {value}]")
    with pytest.raises(ConfigError, match="start_pose = .*finite"):
        load_robot(tmp_path / "r.yaml")


@given(plain)
def test_json_that_is_written_is_json(data):
    again = parse_json(to_json(data))  # which refuses NaN and Infinity
    assert to_json(again) == to_json(data)


DEEP = NESTING + 2


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1e999", "[" * 100_000, "[" * DEEP + "]" * DEEP])
def test_what_is_no_json_is_refused(tmp_path, text):
    with pytest.raises(ValueError):
        parse_json(text)
    (tmp_path / "x.json").write_text(f'{{"a": {text}}}')
    with pytest.raises(ConfigError, match=r"x\.json"):
        load_json(tmp_path / "x.json")


@given(st.text(alphabet="ab:-[]{}&*!?<>|%@#'\"\\ \n\t01.", max_size=60))
@settings(deadline=None)
def test_yaml_raises_value_errors_only(text):
    try:
        parse_yaml(text)
    except ValueError as error:
        assert "\n" not in str(error)


def test_what_is_no_ordinary_file_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("pipe.yaml", "folder.yaml", "none.yaml", "a\0b"):
        with pytest.raises(OSError):
            read_file(tmp_path / name, 10)
    (tmp_path / "long").write_bytes(b"x" * 11)
    with pytest.raises(OSError, match="10 bytes"):
        read_file(tmp_path / "long", 10)
    (tmp_path / "long.yaml").write_text("#" * (TEXT_LIMIT + 1))
    with pytest.raises(ConfigError, match=r"long\.yaml: cannot be read \(larger"):
        load_yaml(tmp_path / "long.yaml")

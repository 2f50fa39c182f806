"""ROS parameters from a configuration dataclass: types, bounds, defaults, and what a wrong value is answered with."""

from dataclasses import dataclass

import pytest
import rclpy
import yaml
from rcl_interfaces.msg import ParameterType
from rclpy.parameter import Parameter

from robot_finetune.config import ConfigError, setting
from robot_finetune.ros.node.parameters import declare_parameters, read_parameters


@dataclass(frozen=True)
class Exploration:
    epsilon: float = setting(0.1, "share of random actions", low=0.0, high=1.0)
    decay: float = setting(0.5, "per episode", unit="1/episode", low=0.0)


@dataclass(frozen=True)
class Config:
    mode: str = setting("explore", "what is done", choices=("explore", "evaluate"))
    steps: int = setting(10, "decisions of an episode", low=1, high=100)
    learn: bool = setting(True, "whether to")
    point: tuple[float, float] = setting((0.5, 0.0), "a place", unit="m")
    names: tuple[str, ...] = setting(("c",), "any names, one at least")
    exploration: Exploration = setting(Exploration(epsilon=0.3))


@pytest.fixture
def make_node(domain_id):
    context = rclpy.Context()
    nodes = []

    def make(*arguments):
        if not nodes:
            rclpy.init(context=context, domain_id=domain_id)
        nodes.append(rclpy.create_node("learner", context=context, cli_args=["--ros-args", *arguments]))
        return nodes[-1]

    yield make
    context.try_shutdown()


def test_defaults_become_typed_documented_parameters(make_node):
    node = make_node()
    assert declare_parameters(node, Config) == Config()
    kinds = {
        "mode": ParameterType.PARAMETER_STRING,
        "steps": ParameterType.PARAMETER_INTEGER,
        "learn": ParameterType.PARAMETER_BOOL,
        "point": ParameterType.PARAMETER_DOUBLE_ARRAY,
        "names": ParameterType.PARAMETER_STRING_ARRAY,
        "exploration.epsilon": ParameterType.PARAMETER_DOUBLE,
        "exploration.decay": ParameterType.PARAMETER_DOUBLE,
    }
    for name, kind in kinds.items():
        descriptor = node.describe_parameter(name)
        assert node.get_parameter(name).get_parameter_value().type == kind, name
        assert descriptor.read_only and not descriptor.dynamic_typing and descriptor.description
    steps = node.describe_parameter("steps").integer_range[0]
    assert (steps.from_value, steps.to_value) == (1, 100)
    assert node.describe_parameter("exploration.epsilon").floating_point_range[0].to_value == 1.0
    assert node.describe_parameter("exploration.decay").description == "per episode [1/episode]"
    assert "explore, evaluate" in node.describe_parameter("mode").additional_constraints


def test_files_and_command_line_override(make_node, tmp_path):
    file = tmp_path / "learner.yaml"
    given = {"steps": 20, "point": [1, 2], "names": ["a", "b"], "exploration": {"decay": 2}}
    file.write_text(yaml.safe_dump({"/**/learner": {"ros__parameters": given}}))
    node = make_node("--params-file", str(file), "-p", "steps:=30", "-p", "mode:=evaluate")
    config = declare_parameters(node, Config)
    assert config == Config("evaluate", 30, True, (1.0, 2.0), ("a", "b"), Exploration(0.3, 2.0))
    assert read_parameters(node, Config) == config


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("steps:=0", ["/learner", "steps = 0", "1 to 100"]),
        ("steps:=many", ["steps = 'many'", "int"]),
        ("mode:=explor", ["mode = 'explor'", "explore, evaluate"]),
        ("exploration.epsilon:=1.5", ["exploration: epsilon = 1.5", "0.0 to 1.0"]),
        ("point:=[1.0]", ["point", "2 values"]),
        ("learn:=1", ["learn = 1", "bool"]),
    ],
)
def test_a_wrong_value_is_told_in_one_line(make_node, override, parts):
    with pytest.raises(ConfigError) as error:
        declare_parameters(make_node("-p", override), Config)
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


def test_only_mutable_parameters_change_and_only_to_what_is_allowed(make_node):
    node = make_node()
    declare_parameters(node, Config, mutable=("mode", "exploration.epsilon"))

    def put(name, value):
        return node.set_parameters([Parameter(name, value=value)])[0]

    assert put("mode", "evaluate").successful and put("exploration.epsilon", 0.7).successful
    assert read_parameters(node, Config) == Config(mode="evaluate", exploration=Exploration(0.7))
    refused = put("mode", "sleep")
    assert not refused.successful and "mode = 'sleep': allowed are explore, evaluate" in refused.reason
    assert not put("exploration.epsilon", 2.0).successful
    assert not put("steps", 20).successful, "read-only"
    assert put("use_sim_time", True).successful, "what is not ours is not ours to refuse"
    assert read_parameters(node, Config).mode == "evaluate"

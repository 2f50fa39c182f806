"""Parameter files in config/ name real parameters and repeat their defaults: nothing in them contradicts the code."""

import dataclasses
import importlib

import pytest
import yaml

from robot_finetune.config import from_mapping, share_path, to_mapping
from robot_finetune.graph.bringup import node_graph
from robot_finetune.graph.options import BringupOptions
from robot_finetune.ros.node.managed_node import ManagedParameters

NODES = {
    "camera": "CameraParameters",
    "episode_logger": "EpisodeLoggerParameters",
    "grasp_detector": "GraspDetectorParameters",
    "policy": "PolicyParameters",
    "sim_cell": "SimCellParameters",
    "trainer": "TrainerParameters",
}


def parameters_of(node):
    return getattr(importlib.import_module(f"robot_finetune.nodes.{node}"), NODES[node])


def dotted(values, prefix=""):
    """The names of all values, those in groups with the group's name before them."""
    for name, value in values.items():
        yield from dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else (f"{prefix}{name}",)


def merged(defaults, given):
    """`defaults` with the values of `given`, group by group."""
    return {
        key: merged(value, given.get(key, {})) if isinstance(value, dict) else given.get(key, value)
        for key, value in defaults.items()
    }


@pytest.mark.parametrize("node", NODES)
def test_the_file_says_what_the_defaults_are(node):
    data = yaml.safe_load(share_path("config", f"{node}.yaml").read_text())
    (key,) = data
    given = data[key]["ros__parameters"]
    assert key == f"/**/{node}"
    defaults = parameters_of(node)()
    assert from_mapping(type(defaults), given) == from_mapping(type(defaults), merged(to_mapping(defaults), given))
    assert merged(to_mapping(defaults), given) == to_mapping(defaults)


def test_the_graph_sets_only_parameters_that_the_nodes_have():
    for spec in node_graph(BringupOptions()):
        names = set(dotted(to_mapping(parameters_of(spec.name)())))
        of_managed = {field.name for field in dataclasses.fields(ManagedParameters)} if spec.managed else set()
        assert set(spec.parameters) <= names | of_managed | {"use_sim_time"}, spec.name
        assert all(file.is_file() for file in spec.parameter_files)

"""ROS parameters from a frozen configuration dataclass: declared with its descriptions and bounds, read back into it.

A field of a nested dataclass becomes a dotted name: `exploration.epsilon`.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from robot_finetune.config import ConfigError, from_mapping, to_mapping

T = TypeVar("T")

_UNBOUNDED = 1e308


def declare_parameters(
    node: Node, cls: type[T], mutable: Sequence[str] = (), configured: Callable[[], bool] | None = None
) -> T:
    """Declare one parameter for each field of `cls` and return the configuration that files and command line give.

    mutable: names that may be set while the node runs (checked as at the start); all others are read-only.
    configured: of a managed node; as long as it is not, the others may be set too.
    Raises ConfigError, with the node, the parameter, its value and what is allowed.
    """
    where = f"parameters of {node.get_fully_qualified_name()}"
    defaults, given = to_mapping(cls()), dict[str, Any]()
    for name, _, _ in _leaves(cls):  # declared without a type first, so that a wrong one is reported like any error
        undeclared = node.declare_parameter(name, _look_up(defaults, name), ParameterDescriptor(dynamic_typing=True))
        _insert(given, name, undeclared.value)
        node.undeclare_parameter(name)
    config = from_mapping(cls, given, where)
    values = to_mapping(config)
    for name, field, kind in _leaves(cls):
        descriptor = _descriptor(name, field, kind, read_only=configured is None and name not in mutable)
        node.declare_parameter(name, _look_up(values, name), descriptor, ignore_override=True)

    fixed = {name for name, _, _ in _leaves(cls)} - set(mutable)

    def check(parameters: list[Parameter[Any]]) -> SetParametersResult:
        refused = [parameter.name for parameter in parameters if parameter.name in fixed]
        if refused and configured is not None and configured():
            cure = f"clean the node up first: ros2 lifecycle set {node.get_fully_qualified_name()} cleanup"
            return SetParametersResult(successful=False, reason=f"{refused[0]} is read by configure; {cure}")
        return _check(node, cls, parameters)

    if mutable or configured is not None:
        node.add_on_set_parameters_callback(check)
    return config


def read_parameters(node: Node, cls: type[T]) -> T:
    """The configuration that the declared parameters hold now."""
    given: dict[str, Any] = {}
    for name, _, _ in _leaves(cls):
        _insert(given, name, node.get_parameter(name).value)
    return from_mapping(cls, given, f"parameters of {node.get_fully_qualified_name()}")


def _check(node: Node, cls: type, parameters: list[Parameter[Any]]) -> SetParametersResult:
    names = {name for name, _, _ in _leaves(cls)}
    given: dict[str, Any] = {}
    for name in names:
        _insert(given, name, node.get_parameter(name).value)
    for parameter in parameters:
        if parameter.name in names:
            _insert(given, parameter.name, parameter.value)
    try:
        from_mapping(cls, given, f"parameters of {node.get_fully_qualified_name()}")
    except ConfigError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)


def _leaves(cls: type, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """Dotted name, field and type of every setting that is not itself a group."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind):
            yield from _leaves(typing.cast(type, kind), f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", field, kind


def _descriptor(name: str, field: dataclasses.Field[Any], kind: Any, read_only: bool) -> ParameterDescriptor:
    meta = field.metadata
    unit = f" [{meta['unit']}]" if meta.get("unit") else ""
    choices = ", ".join(map(str, meta.get("choices") or ()))
    descriptor = ParameterDescriptor(
        name=name,
        description=f"{meta.get('description', '')}{unit}",
        additional_constraints=f"one of {choices}" if choices else "",
        read_only=read_only,
    )
    low, high = meta.get("low"), meta.get("high")
    if (low, high) != (None, None) and kind is float:
        lower, upper = (-_UNBOUNDED if low is None else low), (_UNBOUNDED if high is None else high)
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(lower), to_value=float(upper))]
    if (low, high) != (None, None) and kind is int:
        lower, upper = (-(2**63) if low is None else low), (2**63 - 1 if high is None else high)
        descriptor.integer_range = [IntegerRange(from_value=int(lower), to_value=int(upper))]
    return descriptor


def _insert(tree: dict[str, Any], name: str, value: Any) -> None:
    *groups, leaf = name.split(".")
    for group in groups:
        tree = tree.setdefault(group, {})
    tree[leaf] = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _look_up(tree: dict[str, Any], name: str) -> Any:
    for part in name.split("."):
        tree = tree[part]
    return tree

"""Configuration as frozen dataclasses that carry their own bounds, units and descriptions.

A field is declared with `setting(default, "description", unit=, low=, high=, choices=)`. `from_mapping` and `from_yaml`
build a class from plain data and reject unknown keys, wrong types and values out of bounds with one line that names the
file, the key, the value and what is allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")

SEED_LIMIT = 2**31 - 1
"""The largest seed; what is made from seeds stays within 64 bits."""
SHARE = Path(__file__).resolve().parent.parent
"""Root of config/, urdf/ and models/: the source tree, replaced by the installed share folder when there is one."""


class ConfigError(ValueError):
    """A configuration value that cannot be used; the message says where it is and what is allowed."""


def setting(
    default: Any = dataclasses.MISSING,
    description: str = "",
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
) -> Any:
    """A dataclass field with bounds (inclusive; each element of a tuple must keep them) and a description."""
    metadata = {"description": description, "unit": unit, "low": low, "high": high, "choices": choices}
    if isinstance(default, type) and dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def share_path(*parts: str) -> Path:
    """A file or folder of the package's own config/, urdf/ or models/, in the source tree or where it was installed."""
    if (SHARE / "config").is_dir():
        return SHARE.joinpath(*parts)
    from ament_index_python.packages import get_package_share_directory  # installed without its source tree

    return Path(get_package_share_directory("robot_finetune")).joinpath(*parts)


def policy_folder(policy: str) -> Path:
    """The checkpoint folder that an option names, absolute; empty is the shipped base policy."""
    return Path(policy).expanduser().absolute() if policy else share_path("models", "base")


def find_file(name: str) -> Path:
    """The file that `package://<package>/<path>`, an absolute path or a path in this package names.

    Raises ConfigError if the package is not there; whether the file is, the caller sees.
    """
    if not name.startswith("package://"):
        return share_path(name)  # an absolute path stays what it is
    package, _, path = name.removeprefix("package://").partition("/")
    return package_share(package) / path


def package_share(package: str) -> Path:
    """The share folder of an installed ROS package. Raises ConfigError."""
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory(package))
    except (ImportError, LookupError, OSError, ValueError):  # no ROS 2, no such package, not sourced, no package name
        raise ConfigError(f"package {package!r} is not installed or sourced; do so, or correct the name") from None


def resolve(kind: str, name: str | Path) -> Path:
    """The YAML file of a name in config/<kind>/, or of a path. Raises ConfigError that lists the names there are."""
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        if path.is_file():
            return path
        raise ConfigError(f"{path}: no such file; give a name from config/{kind} or the path of a YAML file")
    folder = share_path("config", kind)
    names = sorted(file.stem for file in folder.glob("*.yaml"))
    if str(name) in names:
        return folder / f"{name}.yaml"
    close = difflib.get_close_matches(str(name), names, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    singular = kind.rstrip("s")
    raise ConfigError(
        f"unknown {singular} {str(name)!r}: {hint}there are {', '.join(names)}, or give a path to a YAML file"
    )


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError with file and line where it cannot be read."""
    try:
        data = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not valid YAML ({getattr(error, 'problem', error)}); correct that line") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected `key: value` lines, found {type(data).__name__}")
    return data


def from_yaml(cls: type[T], path: Path) -> T:
    """Build the dataclass `cls` from a YAML file. Raises ConfigError."""
    return from_mapping(cls, load_yaml(path), str(path))


def from_mapping(cls: type[T], data: Mapping[str, Any], where: str = "") -> T:
    """Build the dataclass `cls` from plain data (nested mappings for nested dataclasses). Raises ConfigError."""
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in data.items():
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ConfigError(f"{where}: unknown key {key!r}: {hint}allowed are {', '.join(fields)}")
        values[key] = _convert(fields[key], hints[key], value, f"{where}: {key}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"{where}: key {name!r} is missing ({field.metadata.get('description', '')})")
    try:
        return cls(**values)
    except ConfigError as error:  # of a check across settings, which does not know where they come from
        raise ConfigError(f"{where}: {error}") from None


def to_mapping(config: Any) -> dict[str, Any]:
    """The plain data that `from_mapping` takes, ready for YAML (tuples become lists)."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, (tuple, list)) else value

    return plain(dataclasses.asdict(config))


def describe(cls: type) -> str:
    """One line a setting: name, default, unit, bounds and description, for --help and documents."""
    lines = []
    for field in dataclasses.fields(cls):
        meta = field.metadata
        bounds = (
            "" if meta.get("low") is None and meta.get("high") is None else f" [{meta.get('low')}, {meta.get('high')}]"
        )
        default = "" if field.default is dataclasses.MISSING else f" = {field.default}"
        unit = f" {meta['unit']}" if meta.get("unit") else ""
        lines.append(f"{field.name}{default}{unit}{bounds}: {meta.get('description', '')}")
    return "\n".join(lines)


def _convert(field: dataclasses.Field[Any], hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        hint = next(arg for arg in args if arg is not type(None))
        origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} = {value!r}: expected a group of keys")
        if dataclasses.is_dataclass(field.default):  # this field's own defaults, not those of its class
            value = _merged(to_mapping(field.default), value)
        return from_mapping(typing.cast(type, hint), value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} = {value!r}: expected a list")
        if Ellipsis not in args and len(value) != len(args):
            raise ConfigError(f"{where} = {value!r}: expected {len(args)} values")
        return tuple(_scalar(field, args[0], item, where) for item in value)
    if hint is Any or origin is dict or hint is dict:
        return value
    return _scalar(field, hint, value, where)


def _merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`defaults` with what is given in their place, group by group."""
    merged = {**defaults, **given}
    for key, value in defaults.items():
        if isinstance(value, Mapping) and isinstance(given.get(key), Mapping):
            merged[key] = _merged(value, given[key])
    return merged


def _scalar(field: dataclasses.Field[Any], kind: type, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind in (int, float) and isinstance(value, bool)):
        raise ConfigError(f"{where} = {value!r}: expected {kind.__name__}, found {type(value).__name__}")
    low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
    if choices and value not in choices:
        raise ConfigError(f"{where} = {value!r}: allowed are {', '.join(map(str, choices))}")
    if kind in (int, float) and not ((low is None or value >= low) and (high is None or value <= high)):
        unit = f" {field.metadata['unit']}" if field.metadata.get("unit") else ""
        raise ConfigError(f"{where} = {value}: allowed is {low} to {high}{unit}")
    return value

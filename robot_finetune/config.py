"""Configuration as frozen dataclasses that carry their own bounds, units and descriptions.

A field is declared with `setting(default, "description", unit=, low=, high=, choices=)`. `from_mapping` and `from_yaml`
build a class from plain data and reject unknown keys, wrong types and values out of bounds with one line that names the
file, the key, the value and what is allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import math
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from robot_finetune import files

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
    finite: bool = True,
) -> Any:
    """A dataclass field with bounds (inclusive; each element of a list must keep them) and a description.

    finite: whether numbers that are not (nan, inf) are refused. A default that is a class is made anew each time.
    """
    metadata = {
        "description": description, "unit": unit, "low": low, "high": high, "choices": choices, "finite": finite
    }  # fmt: skip
    if isinstance(default, type) and (dataclasses.is_dataclass(default) or default in (list, dict)):
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
    """The share folder of an installed ROS package, or the folder of a Python package. Raises ConfigError."""
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory(package))
    except (ImportError, LookupError, OSError, ValueError):  # no ROS 2, no such package, not sourced, no package name
        pass
    with suppress(ImportError, ValueError):
        found = importlib.util.find_spec(package) if package.isidentifier() else None
        if found and found.submodule_search_locations:
            return Path(found.submodule_search_locations[0])
    raise ConfigError(f"package {package!r} is not installed or sourced; do so, or correct the name")


def known_names(kind: str) -> list[str]:
    """The names in config/<kind>/, sorted."""
    return sorted(file.stem for file in share_path("config", kind).glob("*.yaml"))


def resolve(kind: str, name: str | Path) -> Path:
    """The YAML file of a name in config/<kind>/, or of a path. Raises ConfigError that lists the names there are."""
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        if path.is_file():
            return path
        raise ConfigError(f"{path}: no such file; give a name from config/{kind} or the path of a YAML file")
    names = known_names(kind)
    if str(name) in names:
        return share_path("config", kind, f"{name}.yaml")
    close = difflib.get_close_matches(str(name), names, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    singular = kind.rstrip("s")
    raise ConfigError(
        f"unknown {singular} {str(name)!r}: {hint}there are {', '.join(names)}, or give a path to a YAML file"
    )


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError with file and line where it cannot be read."""
    return _load(Path(path), files.TEXT_LIMIT, files.parse_yaml, "YAML")


def load_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file. Raises ConfigError where it cannot be read."""
    return _load(Path(path), files.JSON_LIMIT, files.parse_json, "JSON")


def _load(path: Path, limit: int, parse: Callable[[str], Any], kind: str) -> dict[str, Any]:
    try:
        data = parse(files.read_file(path, limit).decode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        problem, where = str(error), str(path)
        if problem.startswith("line "):
            line, _, problem = problem.removeprefix("line ").partition(": ")
            where = f"{path}:{line}"
        raise ConfigError(f"{where}: not valid {kind} ({problem}); correct that line") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected `key: value` lines, found {type(data).__name__}")
    return data


def from_yaml(cls: type[T], path: Path) -> T:
    """Build the dataclass `cls` from a YAML file. Raises ConfigError."""
    return from_mapping(cls, load_yaml(path), str(path))


def from_mapping(cls: type[T], data: Mapping[str, Any], where: str = "", others: bool = False) -> T:
    """Build the dataclass `cls` from plain data (nested mappings for nested dataclasses). Raises ConfigError.

    others: keys that the class does not have are left out instead of refused.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in data.items():
        if key in fields:
            values[key] = _convert(fields[key], hints[key], value, f"{where}: {key}")
        elif not others:
            close = difflib.get_close_matches(shown(key).strip("'"), fields, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ConfigError(f"{where}: unknown key {shown(key)}: {hint}allowed are {', '.join(fields)}")
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


def shown(value: Any) -> str:
    """A value in a message: on one line, cut short."""
    try:
        text = repr(value)
    except ValueError:  # whole numbers of thousands of digits have none
        text = f"a {type(value).__name__} of thousands of digits"
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def _convert(field: dataclasses.Field[Any], hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        hint = next(arg for arg in args if arg is not type(None))
        origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} = {shown(value)}: expected a group of keys")
        if dataclasses.is_dataclass(field.default):  # this field's own defaults, not those of its class
            value = _merged(to_mapping(field.default), value)
        return from_mapping(typing.cast(type, hint), value, where)
    if origin in (tuple, list):
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} = {shown(value)}: expected a list")
        if origin is tuple and Ellipsis not in args and len(value) != len(args):
            raise ConfigError(f"{where} = {shown(value)}: expected {len(args)} values")
        return origin(_convert(field, args[0], item, where) for item in value)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} = {shown(value)}: expected a group of keys")
        return {
            _scalar(field, args[0], key, where): _convert(field, args[1], item, f"{where}: {shown(key)}")
            for key, item in value.items()
        }
    return value if hint is Any else _scalar(field, hint, value, where)


def _merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`defaults` with what is given in their place, group by group."""
    merged = {**defaults, **given}
    for key, value in defaults.items():
        if isinstance(value, Mapping) and isinstance(given.get(key), Mapping):
            merged[key] = _merged(value, given[key])
    return merged


def _scalar(field: dataclasses.Field[Any], kind: type, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            raise ConfigError(f"{where} = {shown(value)}: allowed are finite numbers") from None
    if not isinstance(value, kind) or (kind in (int, float) and isinstance(value, bool)):
        raise ConfigError(f"{where} = {shown(value)}: expected {kind.__name__}, found {type(value).__name__}")
    low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
    if choices and value not in choices:
        raise ConfigError(f"{where} = {shown(value)}: allowed are {', '.join(map(str, choices))}")
    if isinstance(value, str) and not _is_text(value):
        raise ConfigError(f"{where} = {shown(value)}: holds characters that are no text")
    if isinstance(value, float) and not math.isfinite(value) and field.metadata.get("finite", True):
        raise ConfigError(f"{where} = {value}: allowed are finite numbers{_bounds(field)}")
    if kind in (int, float) and not ((low is None or value >= low) and (high is None or value <= high)):
        raise ConfigError(f"{where} = {shown(value)}: allowed is{_bounds(field)}")
    return value


def _bounds(field: dataclasses.Field[Any]) -> str:
    """` 0 to 1 m`, or nothing where a field has none."""
    low, high, unit = (field.metadata.get(key) for key in ("low", "high", "unit"))
    return "" if low is None and high is None else f" {low} to {high}{f' {unit}' if unit else ''}"


def _is_text(value: str) -> bool:
    """Whether files and file names can hold it."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False

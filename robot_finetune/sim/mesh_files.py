"""Mesh files of a robot description: where they are, and what is in them. MuJoCo itself reads no more than the first
part of an OBJ file with several."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_finetune.config import ConfigError, package_share
from robot_finetune.files import one_line, read_file

SIZE_LIMIT = 200_000_000  # bytes of one file
SEEN_DETAIL = 0.005  # m; what is smaller is not told apart in a camera's image
STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


class MeshError(ValueError):
    """A mesh that cannot be taken; the message says why."""


def find_mesh(name: str, urdf: Path) -> Path:
    """The file that a URDF at `urdf` names: in a package, beside it, or in a folder above it. Raises MeshError."""
    rest = name.removeprefix("file://").removeprefix("package://")
    found = [folder / rest for folder in urdf.parents]
    package, _, inside = rest.partition("/")
    if name.startswith("package://"):
        try:
            found.insert(0, package_share(package) / inside)
        except ConfigError:
            found += [folder / inside for folder in urdf.parents if folder.name == package]
    for path in found:
        if path.is_file():
            return path
    raise MeshError(f"{name} is not there")


def read_mesh(path: Path, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3), `scale` (3,) times those in the file, and triangles (m, 3) of an OBJ or STL file. Raises
    MeshError."""
    readers = {".obj": _read_obj, ".stl": _read_stl}
    if path.suffix.lower() not in readers:
        raise MeshError(f"{path.name} is neither OBJ nor STL")
    try:
        vertices, faces = readers[path.suffix.lower()](read_file(path, SIZE_LIMIT))
    except (OSError, ValueError, OverflowError) as error:
        raise MeshError(f"{path.name} cannot be read ({one_line(error)})") from error
    if len(faces) == 0 or not np.isfinite(vertices).all() or faces.min() < 0 or faces.max() >= len(vertices):
        raise MeshError(f"{path.name} holds no triangles of its vertices")
    return vertices * scale, faces[:, ::-1] if np.prod(scale) < 0 else faces


def coarse(vertices: np.ndarray, faces: np.ndarray, detail: float = SEEN_DETAIL) -> tuple[np.ndarray, np.ndarray]:
    """A mesh whose vertices are at least about `detail` [m] apart, for quick drawing; one that has none left stays."""
    _, first, which = np.unique(np.round(vertices / detail), axis=0, return_index=True, return_inverse=True)
    merged = which.ravel()[faces]
    a, b, c = merged.T
    merged = merged[(a != b) & (b != c) & (c != a)]
    return (vertices[first], merged) if len(merged) else (vertices, faces)


def to_obj(vertices: np.ndarray, faces: np.ndarray) -> bytes:
    """The mesh as an OBJ file."""
    lines = [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in vertices.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (faces + 1).tolist()]
    return "\n".join(lines).encode()


def _read_obj(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces = [], []
    for line in data.decode(errors="replace").splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "f":
            corners = [int(word.partition("/")[0]) for word in words]
            corners = [corner - 1 if corner > 0 else len(vertices) + corner for corner in corners]
            faces += [[corners[0], *pair] for pair in zip(corners[1:], corners[2:], strict=False)]
    return np.array(vertices, float).reshape(-1, 3), np.array(faces, int).reshape(-1, 3)


def _read_stl(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    count = int.from_bytes(data[80:84], "little")
    if len(data) == 84 + count * STL_TRIANGLE.itemsize:
        corners = np.frombuffer(data, STL_TRIANGLE, count, 84)["corners"].reshape(-1, 3)
    else:
        lines = (line.split() for line in data.decode(errors="replace").splitlines())
        corners = np.array([words[1:4] for words in lines if words[:1] == ["vertex"]], float).reshape(-1, 3)
    vertices, which = np.unique(corners.astype(float), axis=0, return_inverse=True)
    return vertices, which.reshape(-1, 3)

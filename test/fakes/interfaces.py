"""Message packages that the product can use and that are not installed here, made from definitions of the used fields.

`provide("control_msgs")` does nothing where the real package can be imported. Otherwise it generates a package of that
name with rosidl, as a real one is, from `<package>_definitions.py`, and puts it on sys.path: the tests then talk
through real action servers, clients and services over DDS. Only what the definitions leave out is missing. The result
is kept in build/test_interfaces until a definition changes; making it takes about a minute.
"""

import ctypes
import hashlib
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "test_interfaces"

PACKAGE_XML = """<?xml version="1.0"?>
<package format="3">
  <name>{name}</name>
  <version>0.0.0</version>
  <description>Stand-in for the tests of robot_finetune</description>
  <maintainer email="nobody@example.com">nobody</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  {depends}
  <member_of_group>rosidl_interface_packages</member_of_group>
</package>
"""

CMAKE = """cmake_minimum_required(VERSION 3.20)
project({name} LANGUAGES C CXX)
include({root}/cmake/pypi_ros_wheels.cmake)
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
{find}
rosidl_generate_interfaces(${{PROJECT_NAME}} {files} DEPENDENCIES {depends})
ament_package()
"""


def provide(package: str) -> None:
    """Make `package` importable in this process; skips the test where it cannot be generated either."""
    if importlib.util.find_spec(package):
        return
    definitions = importlib.import_module(f"fakes.{package}_definitions")
    prefix = _built(package, definitions.DEPENDS, definitions.FILES)
    for library in sorted((prefix / "lib").glob("*.so")):  # found again by their names when rmw asks for them
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    (modules,) = (path.parents[1] for path in prefix.rglob(f"{package}/__init__.py"))
    sys.path.append(str(modules))
    importlib.invalidate_caches()


def _built(package: str, depends: tuple[str, ...], files: dict[str, str]) -> Path:
    """The install folder of the generated package."""
    if not shutil.which("cmake") or not shutil.which("ninja"):
        pytest.skip(f"{package} is not installed, and there is no cmake and ninja to generate a stand-in")
    sources = {
        **files,
        "package.xml": PACKAGE_XML.format(
            name=package, depends="".join(f"<depend>{name}</depend>" for name in depends)
        ),
        "CMakeLists.txt": CMAKE.format(
            name=package,
            root=ROOT,
            find="\n".join(f"find_package({name} REQUIRED)" for name in depends),
            files=" ".join(files),
            depends=" ".join(depends),
        ),
    }
    digest = hashlib.sha256(repr((sys.prefix, sys.version, sources)).encode()).hexdigest()[:16]
    folder = BUILT / f"{package}-{digest}"
    if not (folder / "done").exists():
        for path, text in sources.items():
            file = folder / "source" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        _compile(folder)
        (folder / "done").touch()
    return folder / "install"


def _compile(folder: Path) -> None:
    prefixes = [sys.prefix, *filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "AMENT_PREFIX_PATH": os.pathsep.join(prefixes),
    }
    configure = [
        *("cmake", "-S", str(folder / "source"), "-B", str(folder / "build"), "-G", "Ninja", "-DBUILD_TESTING=OFF"),
        f"-DCMAKE_INSTALL_PREFIX={folder / 'install'}",
        f"-DCMAKE_INSTALL_RPATH={folder / 'install' / 'lib'}",
        f"-DCMAKE_PREFIX_PATH={';'.join(prefixes)}",
        f"-DPython3_EXECUTABLE={sys.executable}",
    ]
    for command in (configure, ["cmake", "--build", str(folder / "build"), "--target", "install"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

"""The documentation builds, reads without the internet, and names files, commands and arguments that exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from robot_finetune import cli
from robot_finetune.graph.options import launch_arguments

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "action|benchmarks|config|docs|launch|models|msg|robot_finetune|scripts|test|urdf"
PLACE_HOLDERS = re.compile(r"NAME|PACKAGE|<|\*|vNNNN|plain\.py")


def by_page(pages=PAGES):
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.name)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site. Its build checks links and anchors, and fails where a page is not in the navigation."""
    pytest.importorskip("mkdocs", reason="requirements-dev.txt is not installed")
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_loads_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        tags = re.findall(r"<(?:script|img|link|iframe)\b[^>]*", page.read_text())
        assert not [tag for tag in tags if re.search(r"""(?:src|href)=["']?(?:https?:)?//""", tag)], page


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("parameters", ["promotion.false_promotion", "while running", "bring_up", "real_time_factor"]),
        ("topics", ["image_raw", "policy/emergency_stop", "policy/grasp", "sensor_msgs/Image", "kept, 64"]),
        ("messages", ["PolicyStep", "normalised action after the workspace's limits"]),
        ("commands", ["robot-finetune episodes relabel", "--last-trial"]),
        ("profile", ["to_measure", "camera.crop", "joint whose position is the opening"]),
        ("variations", ["Lay a printed checkerboard", "blue_floor", "gripper.offset_m"]),
        ("recipes", ["updates_per_grasp", "hold_out", "round_episodes"]),
    ],
)
def test_the_reference_says_what_the_code_says(site, page, words):
    text = re.sub(r"<[^>]+>", "", (site / "reference" / f"{page}.html").read_text()).replace("&#39;", "'")
    assert [word for word in words if word not in text] == []


@by_page()
def test_files_that_are_named_exist(page):
    named = re.findall(rf"`((?:{FOLDERS})/[\w./*<>-]*(?:/|\.\w+))`", page.read_text())
    assert [name for name in named if not PLACE_HOLDERS.search(name) and not (ROOT / name).exists()] == []


def test_the_paper_is_mapped_to_files():
    rows = re.findall(r"^\| .* \| (`.*) \|$", (ROOT / "docs" / "paper.md").read_text(), re.M)
    assert len(rows) > 10 and all((ROOT / name).is_file() for row in rows for name in re.findall(r"`(.+?)`", row))


def written_commands(text):
    """The words of each `robot-finetune ...` in the fenced blocks and the code of a page."""
    fenced = re.compile(r"^ *```\w*\n(.*?)^ *```", re.M | re.S)
    blocks = "\n".join(fenced.findall(text)).replace("\\\n", " ")
    for line in [*blocks.splitlines(), *re.findall(r"`([^`]+)`", fenced.sub("", text))]:
        if found := re.search(r"\brobot-finetune ([a-z][^#)\"]*)", line):
            yield shlex.split(found[1].replace("'", ""))


@by_page()
def test_commands_that_are_written_exist(page):
    for words in written_commands(page.read_text()):
        command, path = cli.program, []
        while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z_]+", words[0]):
            path.append(words.pop(0))
            command = command.get_command(click.Context(command), path[-1])
            assert command is not None, f"no command {' '.join(path)}"
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= known, path


@by_page()
def test_launch_files_and_arguments_that_are_written_exist(page):
    known = {argument["name"] for argument in launch_arguments()}
    files = re.findall(r"robot_finetune (\w+\.launch\.py)", page.read_text())
    assert set(files) <= {file.name for file in (ROOT / "launch").iterdir()}
    written = re.findall(r"robot_finetune finetune\.launch\.py ([^`\n#]+)", page.read_text())
    used = {word.partition(":=")[0] for line in written for word in line.split() if ":=" in word}
    assert used <= known


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 110 and max(map(len, lines)) <= 120

"""docs/real_arm.md explains messages that exist, and names profiles and variations that exist."""

import re
from pathlib import Path

import pytest

from robot_finetune.config import share_path
from robot_finetune.graph.options import launch_arguments

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "real_arm.md").read_text()
SOURCE = "\n".join(path.read_text() for path in sorted((ROOT / "robot_finetune").rglob("*.py")))
JOINED = re.sub(r'"\s*\n\s*f?"', "", SOURCE)  # literals that go on in the next line


def messages():
    table = DOCUMENT.split("## What the messages mean")[1]
    return [text for row in re.findall(r"^\| (`.*?) \|", table, re.M) for text in re.findall(r"`([^`]+)`", row)]


def test_there_are_messages():
    assert len(messages()) > 35


@pytest.mark.parametrize("message", messages())
def test_every_explained_message_is_one_of_ours(message):
    assert message in JOINED


def test_names_are_those_of_the_configuration():
    for kind in ("robots", "variations"):
        for file in share_path("config", kind).glob("*.yaml"):
            if file.stem not in ("sim", "template", "base"):
                assert f"`{file.stem}`" in DOCUMENT, file.stem
    known = {argument["name"] for argument in launch_arguments()}
    ours = re.findall(r"robot_finetune finetune\.launch\.py ([^`\n]+)", DOCUMENT)
    assert ours and {word.partition(":=")[0] for line in ours for word in line.split()} <= known

"""docs/troubleshooting.md explains messages that exist; docs/real_arm.md names every profile and variation."""

import re
from pathlib import Path

import pytest

from robot_finetune.config import share_path

ROOT = Path(__file__).parents[2]
MESSAGES = (ROOT / "docs" / "troubleshooting.md").read_text()
DOCUMENT = (ROOT / "docs" / "real_arm.md").read_text()
SOURCE = "\n".join(path.read_text() for path in sorted((ROOT / "robot_finetune").rglob("*.py")))
JOINED = re.sub(r'"\s*\n\s*f?"', "", SOURCE)  # literals that go on in the next line


def messages():
    return [text for row in re.findall(r"^\| (`.*?) \|", MESSAGES, re.M) for text in re.findall(r"`([^`]+)`", row)]


def test_there_are_messages():
    assert len(messages()) > 35


@pytest.mark.parametrize("message", messages())
def test_every_explained_message_is_one_of_ours(message):
    assert message in JOINED


def test_the_document_names_every_profile_and_variation():
    for kind in ("robots", "variations"):
        for file in share_path("config", kind).glob("*.yaml"):
            if file.stem not in ("sim", "template", "base"):
                assert f"`{file.stem}`" in DOCUMENT, file.stem

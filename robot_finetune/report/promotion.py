"""The report's section about versions on trial: who acted when, how likely the candidate was the better one, and why
each version was taken or not."""

from __future__ import annotations

from collections.abc import Sequence

from robot_finetune.data.promotion_log import Decision, Fact
from robot_finetune.report import plots
from robot_finetune.report.sections import image, scrolling, section, table
from robot_finetune.report.story import MARKED, Story, phrase, shares, story_of


def trials(entries: Sequence[Fact | Decision]) -> str:
    """HTML of a figure and a table; "" for a session without decisions."""
    story = story_of(entries)
    if not story.decisions or not story.success:
        return ""
    told = "; ".join(f"after {grasp} grasps {phrase(made)}" for grasp, made in story.decisions)
    figure = scrolling(image(_plot(story), told))
    note = (
        "<p class=note>Above: which version made each grasp; full dots are successes. Below: how likely the version on "
        "trial grasps better than the one it is compared with, by the grasps of both. A new version acts in turns with "
        "the old one until that is decided.</p>"
    )
    rows = [(grasp, phrase(made), made.reason, *shares(made)) for grasp, made in story.decisions]
    names = ("after grasps", "decision", "why", "the version on trial", "the other", "likely better")
    return section("Versions on trial", figure + note + table(names, rows))


def _plot(story: Story) -> bytes:
    decisive = [
        (grasp, f"v{made.version} {made.decision}") for grasp, made in story.decisions if made.decision in MARKED
    ]
    return plots.versions_on_trial(story.versions, story.success, story.sides, story.probability, decisive)

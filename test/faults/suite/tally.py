"""What a kind of fault was tried on, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

COLUMNS = ("tried", "survived", "lost", "wrong", "ended")


@dataclass
class Tally:
    """tried: faults. survived: after which everything went on or ended with one line that says why.

    lost: grasps, writes or counts that were acknowledged and are gone. wrong: motions or judgements that should not
    have been. ended: processes that a message ended. notes: what went wrong, in a line each.
    """

    kind: str
    tried: int = 0
    survived: int = 0
    lost: int = 0
    wrong: int = 0
    ended: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.tried > 0 and self.survived == self.tried and not (self.lost or self.wrong or self.ended)

    def note(self, text: str) -> None:
        self.notes.append(" ".join(text.split())[:300])


def table(tallies: Iterable[Tally]) -> str:
    """As text, with the notes below."""
    tallies = list(tallies)
    lines = [f"{'fault':44}" + "".join(f"{column:>10}" for column in COLUMNS)]
    for tally in tallies:
        lines.append(f"{tally.kind:44}" + "".join(f"{getattr(tally, column):>10,}" for column in COLUMNS))
    lines += [f"  {tally.kind}: {note}" for tally in tallies for note in tally.notes[:10]]
    return "\n".join(lines)

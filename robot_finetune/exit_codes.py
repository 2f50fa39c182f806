"""What the exit code of a command or a node means: all of them, here and nowhere else."""

from __future__ import annotations

DONE, FAILED, WRONG_USAGE, MISCONFIGURED, INTERRUPTED = 0, 1, 2, 78, 130
MEANING = {
    DONE: "Done. A node: it was told to end. A session that was stopped: its report is written.",
    FAILED: "It could not be done, and the last line on standard error says why; or something was looked for and "
    "found: `episodes verify` a damaged file, `doctor` an error.",
    WRONG_USAGE: "The words of the command line are wrong; nothing was started.",
    MISCONFIGURED: "A node whose configuration is wrong (EX_CONFIG of sysexits.h): starting it again does not help.",
    INTERRUPTED: "Interrupted by Ctrl-C.",
}

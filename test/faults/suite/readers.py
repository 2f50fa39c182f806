"""Files with damaged bytes, for every reader of files from outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fuzz.readers import READERS
from tally import Tally


def damaged_files(count: int, seed: int, folder: Path) -> Tally:
    """Cut, overwritten, doubled and spliced: accepted, or refused in one line of our own."""
    tally, rng = Tally("damaged files"), np.random.default_rng(seed)
    sound = {name: reader.valid(folder / str(index)) for index, (name, reader) in enumerate(READERS.items())}
    for number in range(count):
        index = number % len(READERS)
        name = list(READERS)[index]
        data = damage(sound[name], rng)
        tally.tried += 1
        try:
            READERS[name].read(data, folder / str(index))
            tally.survived += 1
        except Exception as error:
            tally.ended += 1
            tally.note(f"{name}: {type(error).__name__}: {error}")
    return tally


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """`data` after one to four random changes."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not changed:
            break
        at, size = int(rng.integers(len(changed))), int(rng.integers(1, 17))
        kind = rng.integers(6)
        if kind == 0:
            del changed[at:]
        elif kind == 1:
            changed[at : at + size] = rng.bytes(size)
        elif kind == 2:
            changed[at] ^= 1 << int(rng.integers(8))
        elif kind == 3:
            changed[at:at] = changed[max(0, at - 64) : at]
        elif kind == 4:
            del changed[at : at + size]
        else:
            changed[at:at] = rng.choice(list(b"0123456789.-e:[]{}&*!\"'\n ,\xff\0"), size).astype(np.uint8).tobytes()
    return bytes(changed)

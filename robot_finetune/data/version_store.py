"""How versions of the Q-network come from a trainer on another computer to a policy: several ways, one check.

What comes from elsewhere is kept in a folder of the policy's, under names made of numbers and hashes alone, and is a
checkpoint only when its hash is right.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from robot_finetune.config import ConfigError, from_mapping, load_yaml, setting, shown
from robot_finetune.data.atomic_file import sync_folder
from robot_finetune.data.remote import RemoteError, RemoteFolder, is_url
from robot_finetune.data.version_card import CARD, VERSION_LIMIT, WEIGHTS, CardFile, read_card_file
from robot_finetune.files import TEXT_LIMIT, digest, one_line, open_file, parse_json, read_file, sha256_of, to_json

WAYS = (
    "how new versions come from the trainer: empty, by the folder that is announced; dds, in pieces from the trainer "
    "(dds:/NAMESPACE of one that is in another); or the URL of a folder elsewhere, such as s3://bucket/folder"
)
DDS = "dds"
CHUNK = 1 << 16
"""Bytes of a piece over DDS: camera images come between two of them."""
REMOTE_CHUNK = 1 << 22
"""Bytes of a piece from a folder elsewhere."""
LIMITS = {WEIGHTS: 1 << 28, CARD: TEXT_LIMIT}
"""The files of a version, and the most bytes of each that are taken from elsewhere."""
NEWEST = "newest.json"
"""In a folder elsewhere: the announcement of its newest version."""
PART = ".part"
KEPT = 20
"""Versions from elsewhere that stay on the policy's disk beside those that may act again: the newest to arrive."""
SHA256 = re.compile("[0-9a-f]{64}")
SHORT = 12
"""Digits of it in a name."""


class VersionDamaged(ValueError):
    """What arrived is not what was announced; one line."""


@dataclass(frozen=True)
class Announced:
    """A version as its trainer tells of it. path: its folder on the trainer's computer. sha256: of the weights, "" if
    not told. scores: as the trainer found them."""

    path: str = setting(description="folder on the trainer's computer")
    version: int = setting(description="number of the version", low=0, high=VERSION_LIMIT)
    sha256: str = setting(description="hash of the weights")
    scores: dict[str, float] = setting(dict, "offline scores")


class VersionReader(Protocol):
    """Reads versions where their trainer keeps them. Raises OSError where it does not answer."""

    def read(self, announced: Announced, file: str, offset: int) -> tuple[bytes, int]:
        """A piece of one of the files in LIMITS, from `offset` [bytes] on, and the size of the whole file."""


def check_way(way: str) -> str:
    """`way`, if versions may come that way. Raises ConfigError."""
    if way and way != DDS and not way.startswith(f"{DDS}:/") and not is_url(way):
        raise ConfigError(
            f"versions = {way!r}: allowed are nothing (the folder that is announced), {DDS}, {DDS}:/NAMESPACE of the "
            "trainer, or a URL such as s3://bucket/folder"
        )
    return way


def receive(reader: VersionReader, announced: Announced, folder: Path) -> Path:
    """The folder of an announced version below `folder`; what is missing of it is read first.

    Files are read piece by piece into the disk; what an earlier call has left is gone on with. Raises OSError where it
    cannot be had now, VersionDamaged where it must not be used.
    """
    if not SHA256.fullmatch(announced.sha256):
        raise VersionDamaged(f"version {announced.version} was announced without its sha256; update its trainer")
    lineage = digest(os.path.dirname(announced.path))  # versions of one trainer lie side by side
    place = folder / lineage / f"v{announced.version:04d}-{announced.sha256[:SHORT]}"
    if (place / CARD).is_file():
        return place
    place.mkdir(parents=True, exist_ok=True)
    _forget_others(folder, place)
    if not (place / WEIGHTS).is_file():
        part = _read_all(reader, announced, WEIGHTS, place)
        if sha256_of(part) != announced.sha256:
            part.unlink()
            raise VersionDamaged(f"{WEIGHTS} has arrived with another sha256 than was announced")
        part.rename(place / WEIGHTS)
    part = _read_all(reader, announced, CARD, place)
    try:
        card = from_mapping(CardFile, load_yaml(part), CARD, others=True)
    except ConfigError as error:
        part.unlink()
        raise VersionDamaged(str(error)) from error
    if (card.version, card.sha256) != (announced.version, announced.sha256):
        part.unlink()
        raise VersionDamaged(f"{CARD} has arrived from another version than was announced")
    part.rename(place / CARD)  # last: without it there is no checkpoint
    sync_folder(place)
    return place


def forget_received(folder: Path, needed: Collection[str]) -> None:
    """Delete versions below `folder` but for the newest to arrive and those whose sha256 is in `needed`."""
    cards = sorted(folder.glob(f"*/v*/{CARD}"), key=lambda card: card.stat().st_mtime)
    names = {sha256[:SHORT] for sha256 in needed}
    for place in (card.parent for card in cards[:-KEPT]):
        if place.name.rpartition("-")[2] not in names:
            shutil.rmtree(place, ignore_errors=True)


class RemoteVersions:
    """Versions by way of a folder elsewhere: a trainer puts them there, any number of policies look there."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError."""
        self._folder = RemoteFolder(url)

    def put(self, announced: Announced, folder: Path) -> None:
        """Write the version in `folder`, and then that it is the newest. Raises OSError."""
        for file, limit in LIMITS.items():
            data, name = read_file(folder / file, limit), _name(announced, file)
            if self._folder.size(name) != len(data):
                self._folder.write(name, data)
        self._folder.write(NEWEST, to_json(dataclasses.asdict(announced)).encode())

    def newest(self) -> Announced | None:
        """The version that was put there last, None before the first. Raises RemoteError, VersionDamaged."""
        size = self._folder.size(NEWEST)
        if size < 0:
            return None
        where = f"{self._folder.url}/{NEWEST}"
        try:
            return from_mapping(Announced, parse_json(self._folder.read(NEWEST, TEXT_LIMIT)), where)
        except (ValueError, AttributeError) as error:
            raise VersionDamaged(f"{where}: no announcement of a version ({one_line(error)})") from error

    def read(self, announced: Announced, file: str, offset: int) -> tuple[bytes, int]:
        """As a VersionReader does."""
        name = _name(announced, file)
        size = self._folder.size(name)
        if size < 0:
            raise RemoteError(f"{self._folder.url}/{name} is not there yet")
        return self._folder.read(name, REMOTE_CHUNK, offset), size


def read_piece(folder: Path, announced: Announced, file: str, offset: int) -> tuple[bytes, int]:
    """A piece of a file of the version in `folder`, and the size of the whole file, for somebody elsewhere. Raises
    OSError or ConfigError where that version is not there, ValueError for what is no file of a version."""
    if file not in LIMITS:
        raise ValueError(f"a version has no file {shown(file)}")
    if read_card_file(folder).sha256 != announced.sha256:
        raise ValueError(f"version {announced.version} here is another one than was announced")
    with open_file(folder / file) as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(min(offset, size))
        return stream.read(CHUNK), size


def _name(announced: Announced, file: str) -> str:
    """Of a file of a version in a folder elsewhere, where those of several trainers may lie side by side."""
    return f"v{announced.version:04d}-{announced.sha256[:SHORT]}-{file}"


def _forget_others(folder: Path, place: Path) -> None:
    """What had begun to arrive of other versions, which are older."""
    for part in folder.glob(f"*/v*/.*{PART}"):
        if part.parent != place:
            shutil.rmtree(part.parent, ignore_errors=True)


def _read_all(reader: VersionReader, announced: Announced, file: str, place: Path) -> Path:
    """The whole file beside its place, as it came."""
    part = place / f".{file}{PART}"
    with open(part, "ab") as stream:
        while True:
            offset = stream.tell()
            data, size = reader.read(announced, file, offset)
            end = offset + len(data)
            if size > LIMITS[file] or end > size or (end < size and not data):
                part.unlink()
                raise VersionDamaged(f"{file} of {size:,} bytes does not come as a version does")
            stream.write(data)
            if end == size:
                break
        stream.flush()
        os.fsync(stream.fileno())
    return part

"""A version that comes from elsewhere is the one that was announced, or it is refused; what is lost is gone on with."""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.config import ConfigError
from robot_finetune.data.remote import RemoteError, RemoteFolder
from robot_finetune.data.version_card import CARD, WEIGHTS
from robot_finetune.data.version_store import (
    KEPT,
    Announced,
    RemoteVersions,
    VersionDamaged,
    check_way,
    forget_received,
    read_piece,
    receive,
)
from robot_finetune.learning.checkpoint import load_checkpoint, save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """Version 7 as its trainer announces it."""
    folder = tmp_path_factory.mktemp("trainer") / "checkpoints" / "v0007"
    sha256 = save_checkpoint(folder, build_network(NetworkConfig(channels=8, hidden=8), 7), 7, 6, {})
    return Announced(str(folder), 7, sha256, {"brier": 0.25})


class Line:
    """Reads as a policy does; change(number of the call, file, piece) may change the piece or raise OSError."""

    def __init__(self, change=lambda number, file, piece: piece):
        self.asked, self._change = [], change

    def read(self, announced, file, offset):
        self.asked.append((file, offset))
        data, size = read_piece(Path(announced.path), announced, file, offset)
        return self._change(len(self.asked), file, data), size


def until_there(line, version, folder, tries=100):
    for _ in range(tries):
        try:
            return receive(line, version, folder)
        except OSError:
            pass
    pytest.fail("it does not arrive")


@settings(max_examples=20, deadline=None)
@given(lost=st.sets(st.integers(1, 12)), length=st.integers(5000, 65536))
def test_it_arrives_whole_however_often_the_line_is_cut_and_nothing_is_read_twice(
    version, tmp_path_factory, lost, length
):
    def cut(number, file, piece):
        if number in lost:
            raise OSError("no answer")
        return piece[:length]

    line, folder = Line(cut), tmp_path_factory.mktemp("policy")
    there = until_there(line, version, folder)
    assert load_checkpoint(there, version.sha256).version == 7 and folder in there.parents
    answered = [asked for number, asked in enumerate(line.asked, 1) if number not in lost]
    assert len(set(answered)) == len(answered), "a piece that had arrived was asked for again"
    line.asked.clear()
    assert receive(line, version, folder) == there and not line.asked


@settings(max_examples=30, deadline=None)
@given(file=st.sampled_from((WEIGHTS, CARD)), at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_damaged_piece_never_becomes_a_version(version, tmp_path_factory, file, at, bit):
    def damage(number, of, piece):
        if of != file:
            return piece
        spoiled = bytearray(piece)
        spoiled[at % len(piece)] ^= 1 << bit
        return bytes(spoiled)

    folder = tmp_path_factory.mktemp("policy")
    try:
        there = receive(Line(damage), version, folder)
    except VersionDamaged as error:
        assert "\n" not in str(error)
        assert load_checkpoint(receive(Line(), version, folder), version.sha256).version == 7
    else:  # a bit of the card that says nothing of the network
        assert file == CARD and (there / WEIGHTS).read_bytes() == (Path(version.path) / WEIGHTS).read_bytes()


@pytest.mark.parametrize("sha256", ["", "../../../x", "A" * 64, "ab" * 31])
def test_no_name_leaves_the_folder(version, tmp_path, sha256):
    with pytest.raises(VersionDamaged):
        receive(Line(), dataclasses.replace(version, sha256=sha256), tmp_path)
    assert not list(tmp_path.iterdir())


class Endless:
    """Says that a file is larger than any version."""

    def read(self, announced, file, offset):
        return bytes(1 << 16), 1 << 40


def test_a_file_that_is_too_large_is_refused_at_its_first_piece(version, tmp_path):
    with pytest.raises(VersionDamaged, match="does not come as a version does"):
        receive(Endless(), version, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == 0


def test_what_had_begun_of_an_older_version_goes(version, tmp_path):
    def cut(number, file, piece):
        if number > 1:
            raise OSError("no answer")
        return piece[:100]

    older = dataclasses.replace(version, version=6)
    with pytest.raises(OSError, match="no answer"):
        receive(Line(cut), older, tmp_path)
    there = receive(Line(), version, tmp_path)
    assert [path for path in tmp_path.rglob("v*") if path.is_dir()] == [there]


def test_a_robot_that_goes_on_for_months_keeps_the_newest_versions_and_those_that_may_act_again(version, tmp_path):
    there = receive(Line(), version, tmp_path)
    arrived = [there, *(there.with_name(f"v{number:04d}-{number:012x}") for number in range(8, 8 + KEPT + 2))]
    for number, folder in enumerate(arrived):
        if folder != there:
            shutil.copytree(there, folder)
        os.utime(folder / CARD, (1e9 + number, 1e9 + number))
    forget_received(tmp_path, {version.sha256})
    assert sorted(tmp_path.rglob("v*")) == [there, *arrived[-KEPT:]]
    forget_received(tmp_path, set())
    assert sorted(tmp_path.rglob("v*")) == arrived[-KEPT:]


@pytest.fixture(params=["memory", "file", "s3"])
def url(request, tmp_path):
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/lineage"
    return f"{request.param}://{tmp_path}/elsewhere"


def test_versions_come_by_way_of_a_folder_elsewhere(version, url, tmp_path):
    trainer, policy = RemoteVersions(url), RemoteVersions(url)
    assert policy.newest() is None
    trainer.put(version, Path(version.path))
    assert policy.newest() == version
    there = receive(policy, policy.newest(), tmp_path / "received")
    assert load_checkpoint(there, version.sha256).version == 7
    RemoteFolder(url).write("newest.json", b"[1]")
    with pytest.raises(VersionDamaged, match="newest.json: no announcement"):
        policy.newest()


def test_files_elsewhere_are_written_whole_listed_and_read_in_pieces(url):
    folder = RemoteFolder(url)
    assert folder.sizes(".mcap") == {} and folder.size("a.mcap") == -1
    for data in (b"0123456789", b"abcdef"):
        folder.write("a.mcap", data)
        assert RemoteFolder(url).sizes(".mcap") == {"a.mcap": len(data)} and folder.size("a.mcap") == len(data)
        assert folder.read("a.mcap", 3, 2) == data[2:5]
    folder.write("labels.jsonl", b"x")
    assert folder.sizes(".mcap") == {"a.mcap": 6}
    with pytest.raises(RemoteError, match="check the address"):
        folder.read("missing", 10)


def test_a_server_that_is_gone_is_one_line(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(RemoteError, match="s3://robots: .*check the address") as error:
        RemoteFolder(s3).size("a")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("way", ["ftpp://x/y", "trainer", "dds:", "dds:fleet", "/folder"])
def test_a_way_that_is_none_is_one_line(way):
    with pytest.raises(ConfigError, match="s3://bucket/folder"):
        check_way(way)
        RemoteFolder(way)


def test_what_a_trainer_does_not_have_it_does_not_give(version, tmp_path):
    shutil.copytree(version.path, tmp_path / "v")
    for changed, file in ((version, "../v/model.yaml"), (dataclasses.replace(version, sha256="0" * 64), CARD)):
        with pytest.raises(ValueError, match="no file|another one"):
            read_piece(tmp_path / "v", changed, file, 0)
    assert read_piece(tmp_path / "v", version, CARD, 2**64 - 1)[0] == b""

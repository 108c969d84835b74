from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from features.archive import ArchiveRefused, open_model, unpack_archive


def member(name: str, content: bytes = b"x", **attributes: object) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, io.BytesIO(content)


def archive(folder: Path, *members: tuple[tarfile.TarInfo, io.BytesIO]) -> Path:
    file = folder / "model.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        for info, content in members:
            tar.addfile(info, content)
    return file


def test_allowed_regular_files_are_unpacked(tmp_path) -> None:
    names = ("./manifest.json", "code/inference.py", "code/two_tower/encoding.py", "user_tower.onnx")
    file = archive(tmp_path, member("code", b"", type=tarfile.DIRTYPE), *map(member, names))
    assert len(unpack_archive(file, tmp_path / "out")) == 4
    assert (tmp_path / "out" / "code" / "two_tower" / "encoding.py").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        pytest.param(member("../manifest.json"), "never holds", id="a way out"),
        pytest.param(member("code/../../x.py"), "never holds", id="a way out through a folder"),
        pytest.param(member("/etc/passwd"), "never holds", id="an absolute name"),
        pytest.param(member("weights.pkl"), "never holds", id="a pickle"),
        pytest.param(member("a/b/c/x.py"), "never holds", id="deeper than code goes"),
        pytest.param(
            member("manifest.json", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            "no regular file",
            id="a symbolic link",
        ),
        pytest.param(
            member("manifest.json", b"", type=tarfile.LNKTYPE, linkname="vocabulary.json"),
            "no regular file",
            id="a hard link in the tree",
        ),
        pytest.param(member("manifest.json", b"", type=tarfile.CHRTYPE), "no regular file", id="a device"),
        pytest.param(member("bomb.json", b"0" * 5000), "more than 1000 bytes", id="more bytes than agreed"),
    ],
)
def test_anything_else_refuses_the_whole_archive(tmp_path, bad, sentence) -> None:
    file = archive(tmp_path, member("vocabulary.json"), bad)
    with pytest.raises(ArchiveRefused, match=sentence):
        unpack_archive(file, tmp_path / "out", max_bytes=1000)
    assert not (tmp_path / "manifest.json").exists()


def test_a_name_twice_or_too_many_members_are_refused(tmp_path) -> None:
    file = archive(tmp_path, member("a.json"), member("a.json"))
    with pytest.raises(ArchiveRefused, match="twice"):
        unpack_archive(file, tmp_path / "out")
    with pytest.raises(ArchiveRefused, match="more than 1 members"):
        unpack_archive(file, tmp_path / "out2", max_members=1)


def test_a_truncated_archive_is_refused(tmp_path) -> None:
    file = archive(tmp_path, member("a.json", bytes(range(256)) * 400))
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ArchiveRefused, match=r"no whole \.tar\.gz"):
        unpack_archive(file, tmp_path / "out")


def test_a_channel_without_a_model_is_told(tmp_path) -> None:
    with pytest.raises(ArchiveRefused, match="holds neither"):
        open_model(tmp_path, tmp_path / "scratch")

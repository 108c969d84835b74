"""Only plain files under plain names are unpacked, and no more than Lambda takes."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from local_account.functions import archive
from local_account.functions.archive import Packages
from local_account.wire import AwsError


def package(*entries: tuple[str, bytes, int]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, data)
    return buffer.getvalue()


def test_files_are_unpacked_once_by_their_content(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    data = package(("app.py", b"A = 1", 0o644), ("lib/deep/x.py", b"", 0), ("bin/run", b"#!", stat.S_IFREG | 0o755))
    first, second = packages.add(data), packages.add(data)
    assert first == second
    assert (first.folder / "app.py").read_bytes() == b"A = 1"
    assert (first.folder / "bin/run").stat().st_mode & stat.S_IXUSR
    assert packages.folder(first.sha256) == first.folder
    assert sorted(path.name for path in tmp_path.iterdir()) == [first.folder.name]


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(("../evil.py", b"", 0), id="a way up"),
        pytest.param(("a/../../evil.py", b"", 0), id="a way up, later"),
        pytest.param(("/etc/evil", b"", 0), id="an absolute path"),
        pytest.param(("a\\..\\evil", b"", 0), id="backslashes"),
        pytest.param(("link", b"/etc/passwd", stat.S_IFLNK | 0o777), id="a symbolic link"),
        pytest.param(("device", b"", stat.S_IFCHR | 0o600), id="a device"),
        pytest.param(("pipe", b"", stat.S_IFIFO | 0o600), id="a pipe"),
        pytest.param(("a//b", b"", 0), id="an empty part"),
    ],
)
def test_anything_else_is_refused_and_leaves_nothing(tmp_path: Path, entry: tuple[str, bytes, int]) -> None:
    with pytest.raises(AwsError, match="InvalidParameterValueException"):
        Packages(tmp_path / "packages").add(package(("app.py", b"", 0), entry))
    assert list((tmp_path / "packages").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["packages"]


def test_a_bomb_is_stopped_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "UNPACKED_LIMIT", 1_000_000)
    with pytest.raises(AwsError, match="Unzipped size"):
        Packages(tmp_path).add(package(("zeros", b"\0" * 1_000_001, 0)))


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = package(("app.py", b"1", 0), ("app.py", b"2", 0))
    with pytest.raises(AwsError, match="twice"):
        Packages(tmp_path).add(data)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AwsError, match="Could not unzip"):
        Packages(tmp_path).add(b"no archive")

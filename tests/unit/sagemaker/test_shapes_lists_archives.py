from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from local_account.sagemaker import opt_ml
from local_account.sagemaker.archives import BadArchive, pack, unpack
from local_account.sagemaker.listing import Listing, list_page
from local_account.sagemaker.shapes import check
from local_account.sagemaker.training_environment import arguments, user_parameters
from local_account.wire import AwsError


@pytest.mark.parametrize(
    ("action", "params", "said"),
    [
        pytest.param("DescribeModel", {}, "ModelName", id="missing member"),
        pytest.param("DescribeModel", {"ModelName": 3}, "ModelName", id="wrong type"),
        pytest.param("DescribeModel", {"ModelName": "a_b"}, "regular expression pattern", id="pattern"),
        pytest.param("ListModels", {"SortOrder": "Up"}, "enum value set: [Ascending, Descending]", id="enum"),
        pytest.param("ListModels", {"MaxResults": 101}, "less than or equal to 100", id="range"),
        pytest.param("DescribeModel", {"ModelName": "a", "Colour": 1}, "Colour", id="unknown member"),
    ],
)
def test_a_request_out_of_shape_is_refused_with_what_is_wrong(action, params, said):
    with pytest.raises(AwsError) as refused:
        check(action, params)
    assert refused.value.code == "ValidationException"
    assert said in refused.value.message


def archive(tmp_path: Path, *members: tarfile.TarInfo, body: bytes = b"x") -> Path:
    file = tmp_path / "a.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        for member in members:
            member.size = len(body) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(body) if member.isreg() else None)
    return file


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(member("../x"), id="out of the folder"),
        pytest.param(member("/etc/x"), id="absolute"),
        pytest.param(member("a/../../x"), id="dots within"),
        pytest.param(member("l", tarfile.SYMTYPE, "x"), id="symbolic link"),
        pytest.param(member("l", tarfile.LNKTYPE, "x"), id="hard link"),
        pytest.param(member("d", tarfile.CHRTYPE), id="device"),
        pytest.param(member("f", tarfile.FIFOTYPE), id="pipe"),
    ],
)
def test_an_archive_holds_regular_files_below_its_folder_and_nothing_else(tmp_path, bad):
    with pytest.raises(BadArchive):
        unpack(archive(tmp_path, bad), tmp_path / "out")
    assert not [path for path in tmp_path.rglob("*") if path.name == "x"]


def test_an_archive_that_unpacks_too_large_is_refused(tmp_path):
    with pytest.raises(BadArchive, match="more than 999 bytes"):
        unpack(archive(tmp_path, member("big"), body=b"0" * 1000), tmp_path / "out", max_bytes=999)


def test_what_is_packed_unpacks_the_same_without_links(tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a").write_text("1")
    (folder / "link").symlink_to("/etc/passwd")
    assert pack(folder, tmp_path / "a.tar.gz") == 1
    unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert [str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()] == ["deep/a"]


def test_pages_neither_repeat_nor_hide_rows_when_others_go_between_them():
    rows = [{"Name": f"n{i}", "CreationTime": float(i), "Status": "S"} for i in range(5)]
    listing = Listing("Rows", ("Name",), "Name", "Status")
    first = list_page(rows, {"MaxResults": 2}, listing)
    rest = list_page([row for row in rows if row["Name"] != "n3"], {"NextToken": first["NextToken"]}, listing)
    assert [row["Name"] for page in (first, rest) for row in page["Rows"]] == ["n4", "n3", "n2", "n1", "n0"]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("/opt/ml/output/message", "/jobs/j/opt/ml/output/message"),
        ("--x=/opt/ml", "--x=/jobs/j/opt/ml"),
        ("a:/opt/ml/a:/opt/ml/b", "a:/jobs/j/opt/ml/a:/jobs/j/opt/ml/b"),
        ("s3://bucket/opt/ml/a", "s3://bucket/opt/ml/a"),
        ("/opt/mlx", "/opt/mlx"),
    ],
)
def test_opt_ml_paths_are_rewritten_and_others_are_not(text, becomes):
    assert opt_ml.rewrite(text, Path("/jobs/j/opt/ml")) == becomes


def test_script_arguments_are_sorted_decoded_and_without_the_toolkits_own():
    given = {"lr": "0.1", "name": '"x y"', "raw": "plain", "b": "null", "sagemaker_program": '"t.py"'}
    assert arguments(user_parameters(given)) == ["-b", "--lr", "0.1", "--name", "x y", "--raw", "plain"]


@pytest.mark.parametrize(
    ("source", "root", "wrapped", "hinted"),
    [
        pytest.param('"""Reads /opt/ml."""\n# /opt/ml', True, False, False, id="words about it are no path"),
        pytest.param('x = "/opt/ml/model"', True, True, False, id="root gets a namespace"),
        pytest.param('x = "/opt/ml/model"', False, False, True, id="others get a hint, should it fail"),
        pytest.param("cat /opt/ml/model | sh", False, False, True, id="a shell script"),
    ],
)
def test_a_program_that_names_opt_ml_is_found(tmp_path, monkeypatch, source, root, wrapped, hinted):
    monkeypatch.setattr(opt_ml.sys, "platform", "linux")
    monkeypatch.setattr(opt_ml.os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(opt_ml.shutil, "which", lambda _: "/usr/bin/unshare")
    program = tmp_path / ("p.sh" if source.startswith("cat") else "p.py")
    program.write_text(source)
    argv, hint = opt_ml.command(["python", "p.py"], tmp_path, [program])
    assert (argv[0] == "/usr/bin/unshare", hint != "") == (wrapped, hinted)

import json

import pytest

from features.manifest import ManifestError, read_manifest, write_manifest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "part-0.parquet").write_bytes(b"x" * 100)
    (tmp_path / "popular.json").write_text("[]")
    write_manifest(tmp_path, "prepare_data", {"base_rate": 0.1})
    return tmp_path


def test_a_manifest_names_every_file_and_keeps_the_stages_facts(folder):
    manifest = read_manifest(folder, "prepare_data")
    assert [entry["path"] for entry in manifest["files"]] == ["popular.json", "users/part-0.parquet"]
    assert manifest["base_rate"] == 0.1


def test_writing_again_gives_the_same_manifest(folder):
    before = (folder / "manifest.json").read_bytes()
    write_manifest(folder, "prepare_data", {"base_rate": 0.1})
    assert (folder / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"x" * 40, "part-0.parquet is truncated: 40 of 100 bytes", id="truncated"),
        pytest.param(b"x" * 101, "has grown: 101 bytes", id="grown"),
        pytest.param(b"y" * 100, "was altered", id="altered"),
    ],
)
def test_a_file_that_is_not_what_was_written_is_named(folder, content, says):
    (folder / "users" / "part-0.parquet").write_bytes(content)
    with pytest.raises(ManifestError, match=says):
        read_manifest(folder)


def test_a_missing_file_is_named(folder):
    (folder / "popular.json").unlink()
    with pytest.raises(ManifestError, match=r"popular\.json is missing"):
        read_manifest(folder)


def test_a_folder_without_a_manifest_was_not_finished(tmp_path):
    with pytest.raises(ManifestError, match="did not finish"):
        read_manifest(tmp_path)


def test_another_stages_folder_is_refused(folder):
    with pytest.raises(ManifestError, match="written by 'prepare_data', not by 'embed_items'"):
        read_manifest(folder, "embed_items")


def test_a_manifest_cannot_point_outside_its_folder(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][0]["path"] = "../elsewhere"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ManifestError, match="outside"):
        read_manifest(folder)


def test_facts_cannot_hide_the_files(tmp_path):
    with pytest.raises(ManifestError, match="files"):
        write_manifest(tmp_path, "prepare_data", {"files": []})

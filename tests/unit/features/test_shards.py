"""A folder that several hosts wrote is read when all of them have, and they were one run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.manifest import ManifestError
from features.shards import read_shards, write_shard

HOSTS = ["algo-1", "algo-2", "algo-3"]


def written(root: Path, hosts: list[str], tower_id: str = "t1", *, only: tuple[str, ...] = ()) -> Path:
    """Every host writes a folder of its own; all of them are copied to one place, as S3 outputs are."""
    place = root / "s3"
    place.mkdir(exist_ok=True)
    for number, host in enumerate(hosts):
        if only and host not in only:
            continue
        own = root / f"{host}-of-{len(hosts)}-{tower_id}"
        own.mkdir()
        (own / f"vectors-{host}.parquet").write_bytes(b"v" * (number + len(hosts)))
        write_shard(own, "embed_items", host, hosts, {"tower_id": tower_id, "count": 10 + number})
        for file in own.iterdir():
            file.replace(place / file.name)
    return place


def test_three_shards_are_one_output(tmp_path: Path) -> None:
    shards = read_shards(written(tmp_path, HOSTS), "embed_items", agree=("tower_id",))
    assert (shards.facts, shards.count) == ({"tower_id": "t1"}, 33)
    assert [file.name for file in shards.files] == [f"vectors-{host}.parquet" for host in HOSTS]


def test_one_host_writes_the_manifest_that_every_job_writes(tmp_path: Path) -> None:
    place = written(tmp_path, ["algo-1"])
    assert sorted(file.name for file in place.iterdir()) == ["manifest.json", "vectors-algo-1.parquet"]
    assert read_shards(place, "embed_items", agree=("tower_id",)).count == 10


def test_a_host_that_did_not_finish_is_named(tmp_path: Path) -> None:
    place = written(tmp_path, HOSTS, only=("algo-1", "algo-3"))
    with pytest.raises(ManifestError, match="no manifest of algo-2: 1 of 3 hosts did not finish"):
        read_shards(place, "embed_items", agree=("tower_id",))


def test_a_shard_of_another_tower_is_refused(tmp_path: Path) -> None:
    place = written(tmp_path, HOSTS)
    written(tmp_path, HOSTS, "t2", only=("algo-2",))
    with pytest.raises(ManifestError, match="not of one run: tower_id is 't1' of algo-1 and 't2' of algo-2"):
        read_shards(place, "embed_items", agree=("tower_id",))


def test_a_shard_of_a_run_over_other_hosts_is_refused(tmp_path: Path) -> None:
    place = written(tmp_path, HOSTS[:2])
    written(tmp_path, HOSTS, only=("algo-2",))
    with pytest.raises(ManifestError, match="not of one run: hosts is"):
        read_shards(place, "embed_items", agree=("tower_id",))


def test_what_a_wider_run_left_behind_is_not_read(tmp_path: Path) -> None:
    written(tmp_path, HOSTS, only=("algo-2", "algo-3"))
    place = written(tmp_path, HOSTS[:2])
    shards = read_shards(place, "embed_items", agree=("tower_id",))
    assert [file.name for file in shards.files] == ["vectors-algo-1.parquet", "vectors-algo-2.parquet"]


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    place = written(tmp_path, HOSTS)
    (place / "vectors-algo-3.parquet").write_bytes(b"v")
    with pytest.raises(ManifestError, match=r"vectors-algo-3\.parquet is truncated"):
        read_shards(place, "embed_items", agree=("tower_id",))


def test_a_manifest_cannot_name_a_host_outside_its_folder(tmp_path: Path) -> None:
    place = written(tmp_path, HOSTS)
    manifest = json.loads((place / "manifest-algo-1.json").read_text())
    (place / "manifest-algo-1.json").write_text(json.dumps(manifest | {"hosts": ["algo-1", "../../other"]}))
    with pytest.raises(ManifestError, match="names no hosts"):
        read_shards(place, "embed_items", agree=("tower_id",))


def test_nothing_written_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="did not finish"):
        read_shards(tmp_path, "embed_items", agree=("tower_id",))

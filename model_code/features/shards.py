"""Output of one job by several hosts: each its own files and its own manifest, and only all of them together are whole.

The job of one host writes `manifest.json`, as every job does. Hosts that share the work have one folder in S3, so each writes
`manifest-<host>.json`, which also names the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.manifest import MANIFEST, ManifestError, read_manifest, write_manifest

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


@dataclass(frozen=True, slots=True)
class Shards:
    """What the hosts wrote: facts they agree on, how many records in all, and every file that a manifest names."""

    facts: dict[str, Any]
    count: int
    files: list[Path]


def write_shard(folder: Path, stage: str, host: str, hosts: Sequence[str], facts: Mapping[str, Any]) -> None:
    """Describe this host's folder; the last thing that it writes.

    Parameters
    ----------
    hosts : sequence of str
        All hosts of the job, this one among them.
    facts : mapping
        The stage's own facts; `count`, the records of this host, must be one.
    """
    name = MANIFEST if len(hosts) == 1 else f"manifest-{host}.json"
    write_manifest(folder, stage, {**facts, "host": host, "hosts": list(hosts)}, name=name)


def read_shards(folder: Path, stage: str, agree: Sequence[str]) -> Shards:
    """Read the manifests of all hosts and check every file they name.

    A file that no manifest names, e.g. of a run over more hosts that did not finish, is not read.

    Parameters
    ----------
    agree : sequence of str
        Facts that must be the same in every shard, e.g. ``tower_id``.

    Raises
    ------
    ManifestError
        If there is no manifest, one of a host is missing, two disagree, or a file is not as it was written.
    """
    manifests = [read_manifest(folder, stage)] if (folder / MANIFEST).is_file() else _of_all_hosts(folder, stage)
    first = manifests[0]
    for manifest in manifests:
        for name in ("hosts", *agree):
            if manifest.get(name) != first.get(name):
                told = " and ".join(f"{one.get(name)!r} of {one.get('host')}" for one in (first, manifest))
                raise ManifestError(f"the shards in {folder} are not of one run: {name} is {told}")
    files = [folder / entry["path"] for manifest in manifests for entry in manifest["files"]]
    return Shards({name: first.get(name) for name in agree}, sum(int(one["count"]) for one in manifests), files)


def _of_all_hosts(folder: Path, stage: str) -> list[dict[str, Any]]:
    names = sorted(file.name for file in folder.glob("manifest-*.json"))
    if not names:
        raise ManifestError(f"{folder} has no {MANIFEST}: the job that wrote it did not finish")
    hosts = read_manifest(folder, stage, name=names[0]).get("hosts")
    if not isinstance(hosts, list) or not hosts or not all(_HOST.fullmatch(str(host)) for host in hosts):
        raise ManifestError(f"{folder / names[0]} names no hosts")
    missing = [host for host in hosts if not (folder / f"manifest-{host}.json").is_file()]
    if missing:
        raise ManifestError(
            f"{folder} has no manifest of {', '.join(missing)}: {len(missing)} of {len(hosts)} hosts did not finish"
        )
    return [read_manifest(folder, stage, name=f"manifest-{host}.json") for host in hosts]

"""Processing job: the item tower over every known item, each host its share.

In   --model (model.tar.gz or unpacked), --prepared, --config-dir (resourceconfig.json names the hosts)
Out  --output/vectors-<host>.parquet: item_id, vector fixed_size_list<float>[64]; its manifest with tower_id, count, dimension,
     host, hosts: manifest.json of one host, manifest-<host>.json of each of several
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file: the root of model_code/ is where packages are found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from features.archive import open_model
from features.job import JobFailed, job_parser, metric, progress, run
from features.manifest import read_manifest
from features.shards import write_shard
from two_tower.artefact import FILES, read_artefact
from two_tower.encoding import Vocabulary
from two_tower.threads import available_cores

BATCH = 8192


@dataclass(frozen=True, slots=True)
class ItemTower:
    """A loaded item tower with its encoder."""

    tower_id: str
    dimension: int
    vocabulary: Vocabulary
    session: onnxruntime.InferenceSession

    def embed(self, ids: list[str], raw: dict[str, list[Any]]) -> np.ndarray:
        """Vectors of shape (items, D).

        Raises
        ------
        JobFailed
            If a vector has another dimension than the manifest says, or is no number.
        """
        (vectors,) = self.session.run(["vector"], self.vocabulary.encode_items(ids, raw))
        if vectors.shape != (len(ids), self.dimension):
            raise JobFailed(f"the item tower gave shape {vectors.shape}, expected {(len(ids), self.dimension)}")
        broken = ~np.isfinite(vectors).all(axis=1)
        if broken.any():
            raise JobFailed(f"{broken.sum()} items have no finite vector, {ids[int(broken.argmax())]!r} the first")
        return np.asarray(vectors, dtype=np.float32)


def load_item_tower(folder: Path) -> ItemTower:
    """Read a checked, unpacked model folder."""
    manifest = read_artefact(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    session = onnxruntime.InferenceSession(
        str(folder / FILES["item_tower"]), options, providers=["CPUExecutionProvider"]
    )
    vocabulary = Vocabulary.load(folder / FILES["vocabulary"])
    return ItemTower(manifest["tower_id"], int(manifest["dimension"]), vocabulary, session)


def read_hosts(config_dir: Path) -> tuple[str, list[str]]:
    """This host and all of them, from resourceconfig.json; one host `algo-1` where there is no such file."""
    file = config_dir / "resourceconfig.json"
    if not file.is_file():
        return "algo-1", ["algo-1"]
    config = json.loads(file.read_text(encoding="utf-8"))
    current, hosts = str(config["current_host"]), sorted(map(str, config["hosts"]))
    if current not in hosts:
        raise JobFailed(f"{file} names {current!r} as this host, which is none of {', '.join(hosts)}")
    return current, hosts


def item_batches(
    folder: Path, tower: ItemTower, part: int, parts: int
) -> Iterator[tuple[list[str], dict[str, list[Any]]]]:
    """This host's items in batches: every `parts`-th of all of them, in order of id."""
    names = [column.name for column in tower.vocabulary.item_columns]
    if not any(folder.glob("*.parquet")):
        raise JobFailed("prepared/items holds no Parquet file")
    source = ds.dataset(folder, format="parquet")
    missing = [name for name in ("item_id", *names) if name not in source.schema.names]
    if missing:
        raise JobFailed(f"prepared/items lacks the columns {', '.join(missing)}")
    table = source.to_table(columns=["item_id", *names]).sort_by("item_id")
    if not len(table):
        raise JobFailed("prepared/items holds no items")
    ids = table["item_id"]
    if ids.null_count or len(ids.unique()) != len(ids):
        raise JobFailed("prepared/items holds an item without an id, or one twice")
    own = table.take(np.arange(part, len(table), parts))
    for start in range(0, len(own), BATCH):
        batch = own.slice(start, BATCH)
        yield batch["item_id"].to_pylist(), {name: batch[name].to_pylist() for name in names}


def main(arguments: argparse.Namespace) -> str:
    """Embed this host's items and write them, the manifest last."""
    read_manifest(arguments.prepared, "prepare_data")
    host, hosts = read_hosts(arguments.config_dir)
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        tower = load_item_tower(open_model(arguments.model, Path(scratch)))
        vector = pa.list_(pa.float32(), tower.dimension)
        schema = pa.schema([("item_id", pa.string()), ("vector", vector)])
        count = 0
        with pq.ParquetWriter(arguments.output / f"vectors-{host}.parquet", schema) as writer:
            for ids, raw in item_batches(arguments.prepared / "items", tower, hosts.index(host), len(hosts)):
                flat = pa.array(tower.embed(ids, raw).ravel())
                column = pa.FixedSizeListArray.from_arrays(flat, tower.dimension)
                writer.write_table(pa.table({"item_id": ids, "vector": column}, schema=schema))
                count += len(ids)
                progress(f"{count} items embedded")
    facts = {"tower_id": tower.tower_id, "count": count, "dimension": tower.dimension}
    write_shard(arguments.output, "embed_items", host, hosts, facts)
    metric(items_embedded=count)
    return f"{count} items embedded by tower {tower.tower_id[:12]} on {host}, one of {len(hosts)}"


def parser() -> argparse.ArgumentParser:
    made = job_parser("Embed every known item with a release's item tower.")
    for name, sentence in (
        ("model", "channel with the two-tower model"),
        ("prepared", "prepare_data's output"),
        ("output", "where the vectors go"),
    ):
        made.add_argument(f"--{name}", type=Path, required=True, help=sentence)
    made.add_argument("--config-dir", type=Path, default=Path("/opt/ml/config"), help="where resourceconfig.json is")
    return made


if __name__ == "__main__":
    sys.exit(run(parser(), main))

"""The lake: Iceberg tables in a Glue database, written by adding Parquet files, read from a pinned snapshot.

lake = Lake(bucket, database)
lake.add("events", [file, ...])               # one commit, tried again when another writer came first
snapshot = lake.pin("events")                 # an id; None while the table is empty
files = lake.fetch("events", snapshot, folder, since=...)
"""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.name_mapping import MappedField, NameMapping
from pyiceberg.transforms import DayTransform
from pyiceberg.types import DoubleType, IntegerType, ListType, MapType, NestedField, StringType, TimestamptzType

from features.lake_files import s3_client, split_uri
from features.schema import CANONICAL, EXPORTS, OFFLINE, PARTITIONED_BY

if TYPE_CHECKING:
    from pyiceberg.table import Table

COMMIT_ATTEMPTS = 8
PARALLEL_TRANSFERS = 8


class LakeError(RuntimeError):
    """The lake cannot be read or written as asked."""


class Lake:
    """The tables of one Glue database over one bucket."""

    def __init__(self, bucket: str, database: str) -> None:
        self.bucket, self.database = bucket, database
        self._catalog = GlueCatalog(
            "understudy",
            client=boto3.client("glue"),
            **{"warehouse": f"s3://{bucket}/iceberg", "py-io-impl": "features.lake_files.BotoFileIO"},
        )

    def table(self, name: str) -> Table:
        """The table, made on first use; two makers at once are one table."""
        try:
            return self._catalog.load_table((self.database, name))
        except NoSuchTableError:
            pass
        schema = iceberg_schema({**CANONICAL, **OFFLINE, **EXPORTS}[name])
        spec = PartitionSpec()
        if name in PARTITIONED_BY:
            column = PARTITIONED_BY[name]
            spec = PartitionSpec(
                PartitionField(schema.find_field(column).field_id, 1000, DayTransform(), f"{column}_day")
            )
        if not self._catalog.namespace_exists(self.database):  # on AWS the template made it, and no job's role may
            self._make_database()
        properties = {"schema.name-mapping.default": name_mapping(schema).model_dump_json()}
        location = f"s3://{self.bucket}/iceberg/{name}"
        try:
            return self._catalog.create_table((self.database, name), schema, location, spec, properties=properties)
        except TableAlreadyExistsError:
            return self._catalog.load_table((self.database, name))

    def _make_database(self) -> None:
        """The stack's template makes it and jobs may only read it; an account without the stack gets it here."""
        try:
            self._catalog.load_namespace_properties(self.database)
        except NoSuchNamespaceError:
            with contextlib.suppress(NamespaceAlreadyExistsError):
                self._catalog.create_namespace(self.database)

    def pin(self, name: str) -> int | None:
        """The table's snapshot of this moment; None when nothing was ever added."""
        snapshot = self.table(name).current_snapshot()
        return None if snapshot is None else snapshot.snapshot_id

    def add(self, name: str, files: Sequence[Path], properties: Mapping[str, str] | None = None) -> int:
        """Upload local Parquet files and add them to the table in one commit.

        Parameters
        ----------
        files : sequence of Path
            With the table's columns; of a partitioned table, each within one day (UTC).
        properties : mapping, optional
            Kept in the snapshot's summary: facts that must land with the rows or not at all.

        Returns
        -------
        int
            The snapshot's id.

        Raises
        ------
        LakeError
            When other writers came first every time.
        """
        table = self.table(name)
        folder = f"{table.location()}/data/{uuid.uuid4().hex}"
        uris = [f"{folder}/{file.name}" for file in files]
        with ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool:
            list(pool.map(_upload, files, uris))
        for attempt in range(COMMIT_ATTEMPTS):
            try:
                table.add_files(uris, dict(properties or {}), check_duplicate_files=False)
            except CommitFailedException:
                time.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311  jitter, not a secret
                table = self.table(name)
            else:
                snapshot = table.current_snapshot()
                assert snapshot is not None  # noqa: S101  just committed
                return snapshot.snapshot_id
        raise LakeError(f"{name}: {COMMIT_ATTEMPTS} commits were refused, each time another writer came first")

    def files(
        self, name: str, snapshot: int | None, since: datetime | None = None, until: datetime | None = None
    ) -> list[str]:
        """URIs of the snapshot's data files that may hold rows with since <= partition time < until."""
        if snapshot is None:
            return []
        limits = [f"{PARTITIONED_BY[name]} >= '{since.isoformat()}'"] if since is not None else []
        limits += [f"{PARTITIONED_BY[name]} < '{until.isoformat()}'"] if until is not None else []
        where = " AND ".join(limits) or AlwaysTrue()
        scan = self.table(name).scan(row_filter=where, snapshot_id=snapshot)
        return sorted(task.file.file_path for task in scan.plan_files())

    def fetch(
        self,
        name: str,
        snapshot: int | None,
        folder: Path,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Path]:
        """Copy the snapshot's data files of a time range to `folder`, for an engine that reads local Parquet.

        A whole file comes if any of its rows may be in range: filter again. Files already there are not fetched twice.
        """
        folder.mkdir(parents=True, exist_ok=True)
        uris = self.files(name, snapshot, since, until)
        targets = [folder / "-".join(split_uri(uri)[1].split("/")[-2:]) for uri in uris]
        with ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool:
            list(pool.map(_download, uris, targets))
        return targets

    def property(self, name: str, key: str) -> str | None:
        """The newest value of a snapshot property, None if no snapshot carries it."""
        snapshots = sorted(
            self.table(name).snapshots(), key=lambda snapshot: snapshot.sequence_number or 0, reverse=True
        )
        for snapshot in snapshots:
            if snapshot.summary is not None and key in snapshot.summary.additional_properties:
                return snapshot.summary.additional_properties[key]
        return None


def _upload(file: Path, uri: str) -> None:
    bucket, key = split_uri(uri)
    s3_client().upload_file(str(file), bucket, key)


def _download(uri: str, target: Path) -> None:
    if target.exists():
        return
    bucket, key = split_uri(uri)
    draft = target.with_suffix(".part")
    s3_client().download_file(bucket, key, str(draft))
    draft.replace(target)


def iceberg_schema(schema: pa.Schema) -> Schema:
    """The same columns, all optional (what is required is checked where rows come in), with field ids from 1."""
    ids = iter(range(1, 1000))

    def convert(kind: pa.DataType) -> Any:
        if pa.types.is_list(kind):
            return ListType(next(ids), convert(kind.value_type), element_required=False)
        if pa.types.is_map(kind):
            key_id, value_id = next(ids), next(ids)
            return MapType(key_id, convert(kind.key_type), value_id, convert(kind.item_type), value_required=False)
        return _SIMPLE[kind]()

    return Schema(*[NestedField(next(ids), field.name, convert(field.type), required=False) for field in schema])


_SIMPLE: dict[pa.DataType, type] = {
    pa.string(): StringType,
    pa.int32(): IntegerType,
    pa.float64(): DoubleType,
    pa.timestamp("us", tz="UTC"): TimestamptzType,
}


def name_mapping(schema: Schema) -> NameMapping:
    """Files are written by engines that know no field ids: columns are found by name."""

    def mapped(name: str, field_id: int, kind: Any) -> MappedField:
        children: list[MappedField] = []
        if isinstance(kind, ListType):
            children = [mapped("element", kind.element_id, kind.element_type)]
        elif isinstance(kind, MapType):
            children = [mapped("key", kind.key_id, kind.key_type), mapped("value", kind.value_id, kind.value_type)]
        return MappedField.model_validate({"field-id": field_id, "names": [name], "fields": children})

    return NameMapping([mapped(field.name, field.field_id, field.field_type) for field in schema.fields])

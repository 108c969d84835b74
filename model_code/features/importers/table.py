"""One's own CSV or Parquet into a canonical table. docs/data.md has the columns, defaults and an example."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from features import duck
from features.importers.reading import ImportFailed, column_names, read_parquet, read_text
from features.importers.run import Report, Target, importing
from features.schema import CANONICAL, REQUIRED

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
KNOWN_SINCE = {
    "events": "event_time",
    "users": "signup_time",
    "items": "created_at",
}  # known_at, where a source has none


def import_table(
    path: Path,
    table: str,
    target: Target,
    mapping: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
) -> Report:
    """Import a file, or every file of a folder, into `events`, `users` or `items`.

    Parameters
    ----------
    mapping : mapping, optional
        Canonical column -> the source's name for it. A column of the same name needs no entry.
    constants : mapping, optional
        Canonical column -> one text for every row, e.g. ``{"event_type": "click"}``.

    Raises
    ------
    ImportFailed
        If a column named here or required by the table is not there, or a file cannot be read.
    """
    if table not in CANONICAL:
        raise ImportFailed(f"table {table!r} is none of {', '.join(CANONICAL)}")
    files = sorted(file for file in path.iterdir() if _kind(file)) if path.is_dir() else [path]
    if not files:
        raise ImportFailed(f"{path} holds no .csv, .tsv, .csv.gz or .parquet file")
    names = _names(files[0])
    columns = _columns(files[0], table, names, mapping or {}, constants or {})
    with importing(target) as one:
        stager = one.stager(table, columns)
        for file in files:
            if _names(file) != names:
                raise ImportFailed(f"{file} has other columns than {files[0]}: {', '.join(_names(file))}")
            chunks = (
                read_parquet(file, names) if _kind(file) == ".parquet" else read_text(file, DELIMITERS[_kind(file)])
            )
            for chunk in chunks:
                one.take(stager, chunk, file)
        one.close_stagers()
        report = one.finish(target)
    report.ignored_columns = [name for name in names if not any(duck.name(name) in sql for sql in columns.values())]
    return report


def _kind(file: Path) -> str:
    suffix = Path(file.stem).suffix if file.suffix == ".gz" else file.suffix
    return suffix if suffix in (*DELIMITERS, ".parquet") else ""


def _names(file: Path) -> list[str]:
    if not _kind(file):
        # an archive or a missing file has its own sentence
        column_names(file)
        raise ImportFailed(f"{file} is neither .csv, .tsv, .csv.gz nor .parquet")
    return column_names(file, DELIMITERS.get(_kind(file), ","))


def _columns(
    file: Path, table: str, names: list[str], mapping: Mapping[str, str], constants: Mapping[str, str]
) -> dict[str, str]:
    canonical = CANONICAL[table].names
    strangers = [name for name in (*mapping, *constants) if name not in canonical]
    if strangers:
        raise ImportFailed(f"{table} has no column {', '.join(strangers)}; expected {', '.join(canonical)}")
    absent = [source for source in mapping.values() if source not in names]
    if absent:
        raise ImportFailed(f"{file} has no column {', '.join(absent)}; it has {', '.join(names)}")
    columns = {name: duck.name(name) for name in canonical if name in names}
    columns |= {name: duck.name(source) for name, source in mapping.items()}
    columns |= {name: duck.quoted(value) for name, value in constants.items()}
    if "known_at" not in columns:
        columns["known_at"] = columns.get(KNOWN_SINCE[table], "'1970-01-01'")
    if table == "events" and "event_id" not in columns:
        parts = [
            columns[name]
            for name in ("event_type", "user_id", "item_id", "event_time", "request_id")
            if name in columns
        ]
        columns["event_id"] = f"md5(concat_ws('|', {', '.join(f'CAST({part} AS VARCHAR)' for part in parts)}))"
    missing = [name for name in REQUIRED[table] if name not in columns]
    if missing:
        raise ImportFailed(
            f"{file} has no column {', '.join(missing)}, which {table} needs; it has {', '.join(names)}. Name it in the mapping"
        )
    return columns

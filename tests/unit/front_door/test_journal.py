"""The journal as a file: what was appended is read, what was torn is dropped, what was replaced is gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local_account.front_door.journal import Journal
from local_account.front_door.record import Record

LARGE = b"x" * 100_000


def record(name: str, body: bytes = b"body") -> Record:
    return Record(
        service="ssm", operation="PutParameter", method="POST", path=f"/{name}", query="", headers={"a": "b"},
        load=lambda: body,
    )  # fmt: skip


def names(journal: Journal) -> list[str]:
    return [entry.path for entry in journal.read()]


def test_what_was_appended_is_read_by_the_next_process(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    written = [record("a"), record("b", LARGE), record("c", b"")]
    for entry in written:
        first.append(entry)
    first.close()
    again = Journal(tmp_path)
    read = list(again.read())
    assert [entry.head() for entry in read] == [entry.head() for entry in written]
    assert [entry.body for entry in read] == [b"body", LARGE, b""]
    assert (tmp_path / "journal").stat().st_size < 2_000, "a large body lies beside the journal"
    again.close()


def test_a_record_torn_at_any_byte_is_dropped_and_the_next_one_follows_the_last_whole_one(tmp_path: Path) -> None:
    journal, file = Journal(tmp_path), tmp_path / "journal"
    journal.append(record("a"))
    whole = file.stat().st_size
    journal.append(record("b"))
    data = file.read_bytes()
    for length in range(whole, len(data)):
        file.write_bytes(data[:length])
        assert names(journal) == ["/a"]
        assert file.stat().st_size == whole
        journal.append(record("c"))
        assert names(journal) == ["/a", "/c"]
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert names(journal) == ["/a"]
    journal.close()


def test_a_full_disk_leaves_no_half_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.append(record("a"))
    write = os.write

    def short_then_full(descriptor: int, data: memoryview) -> int:
        monkeypatch.setattr(os, "write", full)
        return write(descriptor, data[:5])

    def full(descriptor: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", short_then_full)
    with pytest.raises(OSError, match="No space left"):
        journal.append(record("b"))
    monkeypatch.setattr(os, "write", write)
    journal.append(record("c"))
    assert names(journal) == ["/a", "/c"]
    journal.close()


def test_a_shorter_history_takes_the_place_of_the_long_one_with_its_bodies(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for name in ("a", "b", "c"):
        journal.append(record(name, LARGE + name.encode()))
    journal.replace(entry for entry in journal.read() if entry.path == "/b")
    assert [(entry.path, entry.body) for entry in journal.read()] == [("/b", LARGE + b"b")]
    assert len(list((tmp_path / "blobs").iterdir())) == 1
    journal.append(record("d"))
    assert names(journal) == ["/b", "/d"]
    journal.close()

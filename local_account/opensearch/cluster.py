"""Indices and aliases of one domain, by name."""

from __future__ import annotations

import fnmatch
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_account.opensearch.errors import failure, illegal_argument, index_not_found, invalid_index_name
from local_account.opensearch.index import Index
from local_account.records import Records

_FORBIDDEN = frozenset('\\/*?"<>| ,#:')


class Cluster:
    """What a domain holds. Records are written before an answer; a deleted index leaves nothing behind."""

    def __init__(self, folder: Path, records: Records, domain: str, now_ms: Callable[[], int]) -> None:
        self._folder, self._records, self._domain, self._now_ms = folder, records, domain, now_ms
        self._lock = threading.RLock()
        self._indices: dict[str, Index] = {}
        self._aliases: dict[str, list[str]] = records.get("aliases", domain) or {}  # alias -> indices
        for key, record in records.all("index"):
            owner, _, name = key.partition("/")
            if owner == domain:
                self._indices[name] = Index(name, record, folder / record["uuid"])

    @property
    def indices(self) -> list[Index]:
        with self._lock:
            return [self._indices[name] for name in sorted(self._indices)]

    def create(self, name: str, body: dict[str, Any]) -> Index:
        _check_name(name)
        with self._lock:
            if name in self._aliases:
                raise invalid_index_name(name, "already exists as alias")
            if (old := self._indices.get(name)) is not None:
                facts = {"index": name, "index_uuid": old.uuid}
                raise failure(
                    "resource_already_exists_exception", f"index [{name}/{old.uuid}] already exists", facts=facts
                )
            if unknown := body.keys() - {"settings", "mappings", "aliases"}:
                raise failure("parse_exception", f"unknown key [{min(unknown)}] for create index")
            record = _new_record(body.get("settings", {}), body.get("mappings", {}), self._now_ms())
            index = Index(name, record, self._folder / record["uuid"])
            self.keep(index)
            self._indices[name] = index
            if body.get("aliases"):
                self.change_aliases([{"add": {"index": name, "alias": alias}} for alias in body["aliases"]])
            return index

    def keep(self, index: Index) -> None:
        """Write an index's settings and mapping."""
        self._records.put("index", f"{self._domain}/{index.name}", {**index.record, "mappings": index.mapping.body})

    def delete(self, expression: str) -> None:
        with self._lock:
            if expression in self._aliases:
                reason = f"The provided expression [{expression}] matches an alias, specify the corresponding concrete indices instead."
                raise illegal_argument(reason)
            for index in self.resolve(expression):
                self._remove(index)
            self._records.put("aliases", self._domain, self._aliases)

    def resolve(self, expression: str) -> list[Index]:
        """Indices of a name, an alias, a pattern, or several with commas.

        Raises
        ------
        EngineError
            404 `index_not_found_exception` for a plain name that is neither index nor alias.
        """
        found: dict[str, Index] = {}
        with self._lock:
            for part in expression.split(","):
                if "*" in part or part == "_all":
                    pattern = "*" if part == "_all" else part
                    matching = [name for name in sorted(self._indices) if fnmatch.fnmatchcase(name, pattern)]
                elif part in self._aliases:
                    matching = self._aliases[part]
                elif part in self._indices:
                    matching = [part]
                else:
                    raise index_not_found(part)
                found.update({name: self._indices[name] for name in matching})
        return list(found.values())

    def one(self, expression: str) -> Index:
        """The one index that a search or a document goes to."""
        found = self.resolve(expression)
        if len(found) != 1:
            raise illegal_argument(f"the embedded engine takes one index at a time; [{expression}] names {len(found)}")
        return found[0]

    def for_writing(self, name: str) -> Index:
        """The index a document goes to; made when missing, as the engine does."""
        with self._lock:
            return self.one(name) if name in self._aliases or name in self._indices else self.create(name, {})

    def aliases_of(self, index: str) -> list[str]:
        with self._lock:
            return sorted(alias for alias, indices in self._aliases.items() if index in indices)

    def alias_names(self) -> list[str]:
        with self._lock:
            return sorted(self._aliases)

    def change_aliases(self, actions: list[dict[str, Any]]) -> None:
        """All actions or none: searches see the aliases before or after, never between."""
        with self._lock:
            aliases = {alias: list(indices) for alias, indices in self._aliases.items()}
            doomed: list[Index] = []
            for action in actions:
                ((kind, body),) = action.items()
                names = body.get("indices", [body.get("index", "")])
                indices = [index for name in names for index in self.resolve(name)]
                if kind == "remove_index":
                    doomed += indices
                    continue
                for alias in body.get("aliases", [body.get("alias", "")]):
                    self._change(kind, alias, indices, aliases)
            self._aliases = {alias: indices for alias, indices in aliases.items() if indices}
            for index in doomed:
                self._remove(index)
            self._records.put("aliases", self._domain, self._aliases)

    def close(self) -> None:
        with self._lock:
            for index in self._indices.values():
                index.close()

    def _change(self, kind: str, alias: str, indices: list[Index], aliases: dict[str, list[str]]) -> None:
        if kind == "add":
            if alias in self._indices:
                reason = "an index or data stream exists with the same name as the alias"
                facts = {"alias": alias}
                raise failure("invalid_alias_name_exception", f"Invalid alias name [{alias}]: {reason}", facts=facts)
            _check_name(alias)
            kept = aliases.setdefault(alias, [])
            kept += [index.name for index in indices if index.name not in kept]
        elif kind == "remove":
            held = aliases.get(alias, [])
            if not any(index.name in held for index in indices):
                facts = {"resource.id": alias, "resource.type": "aliases"}
                raise failure("aliases_not_found_exception", f"aliases [{alias}] missing", 404, facts=facts)
            aliases[alias] = [name for name in held if name not in {index.name for index in indices}]
        else:
            raise illegal_argument(f"[alias_action] unknown field [{kind}]")

    def _remove(self, index: Index) -> None:
        self._records.delete("index", f"{self._domain}/{index.name}")
        del self._indices[index.name]
        for alias in list(self._aliases):
            self._aliases[alias] = [name for name in self._aliases[alias] if name != index.name]
            if not self._aliases[alias]:
                del self._aliases[alias]
        index.close()
        shutil.rmtree(self._folder / index.uuid, ignore_errors=True)


def _check_name(name: str) -> None:
    if name != name.lower():
        raise invalid_index_name(name, "must be lowercase")
    if name.startswith(("_", "-", "+")):
        raise invalid_index_name(name, f"must not start with '{name[0]}'.")
    if not name or name in {".", ".."} or _FORBIDDEN & set(name) or len(name.encode()) > 255:
        raise invalid_index_name(name, 'must not contain the following characters [ , ", *, \\, <, |, ,, >, /, ?]')


def _new_record(settings: dict[str, Any], mappings: dict[str, Any], created_ms: int) -> dict[str, Any]:
    """What is kept of an index beside its documents. Settings may come nested, dotted, or under `index`."""
    flat: dict[str, Any] = {}
    for name, value in {**settings, **settings.get("index", {})}.items():
        if name != "index":
            flat[name.removeprefix("index.")] = value
    shards, replicas = flat.pop("number_of_shards", 1), flat.pop("number_of_replicas", 1)
    if int(shards) < 1:
        raise illegal_argument(f"Failed to parse value [{shards}] for setting [index.number_of_shards] must be >= 1")
    return {
        "uuid": uuid.uuid4().hex[:22],
        "settings": {
            **flat,
            "number_of_shards": str(shards),
            "number_of_replicas": str(replicas),
            "creation_date": str(created_ms),
        },
        "mappings": mappings,
    }

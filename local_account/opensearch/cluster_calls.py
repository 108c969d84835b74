"""Calls about the cluster: what it is, its health, lists, aliases."""

from __future__ import annotations

from typing import Any

from local_account.opensearch.errors import illegal_argument
from local_account.opensearch.router import Api, read_json, route

_VERSION = {
    "distribution": "opensearch",
    "number": "2.19.1",
    "build_type": "embedded",
    "build_hash": "0000000000000000000000000000000000000000",
    "build_date": "2025-02-27T01:16:47.726162386Z",
    "build_snapshot": False,
    "lucene_version": "9.12.1",
    "minimum_wire_compatibility_version": "7.10.0",
    "minimum_index_compatibility_version": "7.0.0",
}


@route("GET HEAD", "/")
def _info(api: Api, _at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    told = {"name": "loopback", "cluster_name": api.name, "cluster_uuid": "embedded", "version": _VERSION}
    return {**told, "tagline": "The OpenSearch Project: https://opensearch.org/"}


@route("GET", "/_cluster/health", "/_cluster/health/{index}")
def _health(api: Api, _at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    shards = len(api.cluster.indices)
    nothing = (
        "relocating_shards initializing_shards unassigned_shards delayed_unassigned_shards number_of_pending_tasks"
    )
    return {
        "cluster_name": api.name,
        "status": "green",
        "timed_out": False,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
        "active_primary_shards": shards,
        "active_shards": shards,
        **dict.fromkeys(nothing.split(), 0),
        "active_shards_percent_as_number": 100.0,
    }


@route("GET", "/_cat/indices", "/_cat/indices/{index}")
def _cat_indices(api: Api, at: dict[str, str], query: dict[str, str], _body: bytes) -> Any:
    rows = []
    for index in api.cluster.resolve(at.get("index", "*")):
        view, size = index.searchable(), f"{index.size()}b"
        rows.append(
            {
                "health": "green",
                "status": "open",
                "index": index.name,
                "uuid": index.uuid,
                "pri": "1",
                "rep": index.record["settings"]["number_of_replicas"],
                "docs.count": str(view.count),
                "docs.deleted": str(view.n - view.count),
                "store.size": size,
                "pri.store.size": size,
            }
        )
    return _cat(rows, query)


@route("GET", "/_cat/aliases", "/_cat/aliases/{alias}")
def _cat_aliases(api: Api, at: dict[str, str], query: dict[str, str], _body: bytes) -> Any:
    unset = {"filter": "-", "routing.index": "-", "routing.search": "-", "is_write_index": "-"}
    rows = [
        {"alias": alias, "index": index.name, **unset}
        for alias in api.cluster.alias_names()
        if at.get("alias", alias) == alias
        for index in api.cluster.resolve(alias)
    ]
    return _cat(rows, query)


def _cat(rows: list[dict[str, str]], query: dict[str, str]) -> Any:
    if "h" in query:
        names = query["h"].split(",")
        rows = [{name: row[name] for name in names if name in row} for row in rows]
    if query.get("format") == "json":
        return rows
    return "".join(" ".join(row.values()) + "\n" for row in rows).encode()


@route("POST", "/_aliases")
def _change_aliases(api: Api, _at: dict[str, str], _query: dict[str, str], body: bytes) -> Any:
    actions = read_json(body).get("actions")
    if not isinstance(actions, list) or not all(isinstance(one, dict) and len(one) == 1 for one in actions):
        raise illegal_argument("No action specified")
    api.cluster.change_aliases(actions)
    return {"acknowledged": True}


@route("GET HEAD", "/_alias", "/_aliases", "/_alias/{alias}", "/{index}/_alias", "/{index}/_alias/{alias}")
def _get_aliases(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    answer: dict[str, Any] = {}
    for index in api.cluster.resolve(at.get("index", "*")):
        aliases = [alias for alias in api.cluster.aliases_of(index.name) if at.get("alias", alias) == alias]
        if aliases or "alias" not in at:
            answer[index.name] = {"aliases": {alias: {} for alias in aliases}}
    if "alias" in at and not answer:
        return 404, {"error": f"alias [{at['alias']}] missing", "status": 404}
    return answer


@route("PUT POST", "/{index}/_alias/{alias}", "/{index}/_aliases/{alias}")
def _put_alias(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    api.cluster.change_aliases([{"add": {"index": at["index"], "alias": at["alias"]}}])
    return {"acknowledged": True}


@route("DELETE", "/{index}/_alias/{alias}", "/{index}/_aliases/{alias}")
def _delete_alias(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    api.cluster.change_aliases([{"remove": {"index": at["index"], "alias": at["alias"]}}])
    return {"acknowledged": True}

"""recommend and explain: ask the API as a user's application would, and look behind one answer."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from cli.options import STACK, STATE, Stack, State, console
from cli.site import Problem, Site, connect
from cli.stage import read_release, serving_release


def register(app: typer.Typer) -> None:
    app.command()(recommend)
    app.command()(explain)


def recommend(
    user: Annotated[str, typer.Option("--user", help="User id, known or not.")],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many items.")] = 10,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="Only items of this topic; may be given again.")
    ] = None,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """Recommendations for a user, beside what the user liked before."""
    show_recommendations(connect(stack, state), user, k, topic or [])


def ask(site: Site, user: str, k: int, topics: list[str]) -> dict[str, Any]:
    """One answer of POST /recommend."""
    body = {"user_id": user, "k": k, **({"context": {"topics": topics}} if topics else {})}
    status, answer = site.signed("execute-api", "POST", f"{site.outputs['ApiUrl']}/recommend", body)
    if status != 200:
        error = (answer or {}).get("error") or answer
        raise Problem(f"POST /recommend answered {status}: {error}")
    return answer


def show_recommendations(site: Site, user: str, k: int, topics: list[str]) -> dict[str, Any]:
    answer = ask(site, user, k, topics)
    features = online_features(site, user)
    liked = documents(site, read_release(site, answer["release_id"]), features.get("last_5_clicks") or [])
    table = Table(
        title=f"For {user}, by release {answer['release_id']}"
        + (f" (degraded: {', '.join(answer['degraded'])})" if answer["degraded"] else "")
    )
    table.add_column("", justify="right")
    table.add_column("recommended")
    table.add_column("score", justify="right")
    table.add_column("clicked before")
    for place in range(max(len(answer["items"]), len(liked))):
        item = answer["items"][place] if place < len(answer["items"]) else {"title": "", "position": "", "score": None}
        before = liked[place].get("title", "") if place < len(liked) else ""
        score = "" if item["score"] is None else f"{item['score']:.3f}"
        table.add_row(str(item["position"]), item["title"], score, before)
    console.print(table)
    if not features:
        console.print(f"[dim]{user} is new here: the towers know only that[/]")
    return answer


def online_features(site: Site, user: str) -> dict[str, Any]:
    from understudy.adapters.aws_items import from_item

    item = (
        site.client("dynamodb")
        .get_item(TableName=site.outputs["UserFeaturesTable"], Key={"user_id": {"S": user}})
        .get("Item")
    )
    return from_item(item)["features"] if item else {}


def documents(site: Site, release: dict[str, Any], item_ids: list[str]) -> list[dict[str, Any]]:
    """Index documents of items, in the order of the ids; those the release does not know are left out."""
    if not item_ids:
        return []
    query = {"size": len(item_ids), "_source": release["item_fields"], "query": {"terms": {"item_id": item_ids}}}
    status, answer = site.signed("es", "POST", f"{site.outputs['ItemIndexUrl']}/{release['index']}/_search", query)
    if status != 200:
        raise Problem(f"index {release['index']} answered {status}: {answer}")
    found = {hit["_id"]: hit["_source"] for hit in answer["hits"]["hits"]}
    return [found[item_id] for item_id in item_ids if item_id in found]


def explain(
    user: Annotated[str, typer.Option("--user", help="User id.")],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many items.")] = 10,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """Why these items: what is known of the user, and each item's features as both stages saw them."""
    site = connect(stack, state)
    release, features = serving_release(site), online_features(site, user)
    console.print(
        Table(title=f"{user}, as the models see the user", show_header=False)
        if not features
        else _features_table(user, features)
    )
    answer = ask(site, user, k, [])
    items = {item["item_id"]: item for item in documents(site, release, [item["item_id"] for item in answer["items"]])}
    topics, authors = features.get("topic_shares_30d") or {}, features.get("author_shares_30d") or {}
    table = Table(title=f"Answer of {answer['release_id']}")
    for title in ("", "item", "topic", "share of the user's clicks", "author's share", "age, days", "CTR 7 d", "score"):
        table.add_column(title)
    for row in answer["items"]:
        known = items.get(row["item_id"], {})
        numbers = (
            topics.get(known.get("item_topic"), 0.0),
            authors.get(known.get("item_author_id"), 0.0),
            known.get("item_age_days"),
            known.get("item_ctr_7d"),
            row["score"],
        )
        table.add_row(
            str(row["position"]),
            row["title"],
            known.get("item_topic", ""),
            *(f"{n:.3g}" if isinstance(n, int | float) else "-" for n in numbers),
        )
    console.print(table)
    console.print(
        "[dim]score: calibrated chance of a click in the first place; the ranker's order, then no more than a share per author and topic[/]"
    )


def _features_table(user: str, features: dict[str, Any]) -> Table:
    table = Table(title=f"{user}, as the models see the user", show_header=False)
    for name, value in features.items():
        if name == "seen":
            value = f"{len(value)} items are not shown again"
        elif isinstance(value, dict):
            best = sorted(value.items(), key=lambda pair: -pair[1])[:4]
            value = ", ".join(f"{key} {share:.0%}" for key, share in best)
        table.add_row(name, str(value))
    return table

"""Episodes in StateTable and decisions in ReactionsTable: every change is one conditional write."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from understudy.adapters.aws import refused_item
from understudy.adapters.aws_items import from_item, to_item
from understudy.contracts.reactions import Episode, Occasion, Reaction
from understudy.errors import EpisodeMoved

KEPT_DAYS = 90
_ALL_OLD = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


class DynamoEpisodes:
    """The one episode of the model: StateTable `episode#recommender`."""

    KEY = to_item({"id": "episode#recommender"})

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def current(self) -> Episode | None:
        item = self._client.get_item(TableName=self._table, Key=self.KEY, ConsistentRead=True).get("Item")
        return _episode(from_item(item)) if item else None

    def write(self, before: Episode | None, new: Episode) -> Episode:
        """Put `new` in the place of `before`, or find that it was put there by a write whose reply was lost.

        Raises
        ------
        EpisodeMoved
            Another writer was first.
        """
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(id)"}
        if before is not None:
            condition = {
                "ConditionExpression": "version = :version AND episode_id = :episode",
                "ExpressionAttributeValues": to_item({":version": before.version, ":episode": before.episode_id}),
            }
        item = {**self.KEY, **to_item(new.model_dump(mode="json"))}
        try:
            self._client.put_item(TableName=self._table, Item=item, **condition, **_ALL_OLD)
        except ClientError as error:
            there = refused_item(error)
            if there is not None and (there["version"], there["run"]) == (new.version, new.run):
                return _episode(there)
            raise EpisodeMoved(new.episode_id, there["episode_id"] if there else "none") from None
        return new

    def join(self, episode: Episode, alarm: str) -> None:
        """Note that an alarm belongs to an episode, once; nothing, when another episode stands there by now."""
        values = {":episode": episode.episode_id, ":alarm": alarm, ":new": [alarm]}
        self._update(
            "SET #alarms = list_append(#alarms, :new)",
            "episode_id = :episode AND NOT contains(#alarms, :alarm)",
            values,
            {"#alarms": "alarms"},
        )

    def started(self, run: str, at: datetime) -> None:
        values = {":run": run, ":at": at.isoformat()}
        self._update("SET started_at = :at", "#run = :run", values, {"#run": "run"})

    def close(self, episode: Episode, at: datetime) -> None:
        values = {":version": episode.version, ":episode": episode.episode_id, ":at": at.isoformat()}
        self._update("SET closed_at = :at", "version = :version AND episode_id = :episode", values, {})

    def _update(self, update: str, condition: str, values: Mapping[str, Any], names: Mapping[str, str]) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=self.KEY,
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=to_item(values),
                **({"ExpressionAttributeNames": dict(names)} if names else {}),
            )
        except ClientError as error:
            refused_item(error)  # done before, or of an episode that is over


def _episode(item: Mapping[str, Any]) -> Episode:
    return Episode.model_validate({key: value for key, value in item.items() if key != "id"})


class DynamoReactions:
    """What was decided, one item an occasion: pk `day#<day>`, sk `<time>#<hash of alarm and state>`."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def get(self, occasion: Occasion) -> Reaction | None:
        answer = self._client.get_item(TableName=self._table, Key=_key(occasion), ConsistentRead=True)
        return reaction_of(from_item(answer["Item"])) if "Item" in answer else None

    def record(self, reaction: Reaction) -> tuple[Reaction, bool]:
        """Write a decision once; only a `wait` is written over. What stands there now, and whether that is `reaction`."""
        item = {**_key(reaction.occasion), **to_item(_attributes(reaction))}
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk) OR #action = :wait",
                ExpressionAttributeNames={"#action": "action"},
                ExpressionAttributeValues=to_item({":wait": "wait"}),
                **_ALL_OLD,
            )
        except ClientError as error:
            there = reaction_of(refused_item(error) or {})
            return there, there == reaction  # equal: the first reply was lost
        return reaction, True

    def settle(self, reaction: Reaction) -> Reaction:
        """What was decided was done."""
        self._client.update_item(
            TableName=self._table,
            Key=_key(reaction.occasion),
            UpdateExpression="SET settled = :yes",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues=to_item({":yes": True}),
        )
        return reaction.model_copy(update={"settled": True})

    def of_days(self, last: date, days: int, *, unsettled: bool = False) -> Iterator[Reaction]:
        """Decisions about occasions of the `days` that end with `last`, newest first."""
        values: dict[str, Any] = {":no": False} if unsettled else {}
        condition = {"FilterExpression": "settled = :no"} if unsettled else {}
        for back in range(days):
            query = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :day",
                ExpressionAttributeValues=to_item({":day": f"day#{last - timedelta(days=back)}", **values}),
                ScanIndexForward=False,
                ConsistentRead=True,
                **condition,
            )
            for page in query:
                yield from (reaction_of(from_item(item)) for item in page["Items"])


def _key(occasion: Occasion) -> dict[str, Any]:
    at = occasion.at.isoformat()
    identity = hashlib.sha256(f"{occasion.alarm} {occasion.state}".encode()).hexdigest()[:12]
    return to_item({"pk": f"day#{at[:10]}", "sk": f"{at}#{identity}"})


def _attributes(reaction: Reaction) -> dict[str, Any]:
    """Flat, for whoever reads the table by other means."""
    facts = reaction.model_dump(mode="json", exclude={"occasion"}, exclude_none=True)
    expires = reaction.decided_at + timedelta(days=KEPT_DAYS)
    return {**reaction.occasion.model_dump(mode="json"), **facts, "expires_at": int(expires.timestamp())}


def reaction_of(item: Mapping[str, Any]) -> Reaction:
    facts = {key: value for key, value in item.items() if key in Reaction.model_fields}
    return Reaction.model_validate({**facts, "occasion": {key: item[key] for key in Occasion.model_fields}})

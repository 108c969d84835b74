"""What every drawer of the room shares: the account, the records on disk, the folder, the tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_account.account import Account
from local_account.records import Records
from local_account.sagemaker.errors import invalid
from local_account.sagemaker.listing import Listing, list_page
from local_account.wire import AwsError

Params = dict[str, Any]
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Room:
    account: Account
    records: Records
    folder: Path

    def s3(self, role_arn: str) -> Any:
        """An S3 client of a role's own rights.

        Raises
        ------
        AwsError
            `ValidationException` if there is no such role, in SageMaker's words.
        """
        try:
            return self.account.client("s3", role_arn=role_arn, session_name="SageMaker")
        except AwsError as error:
            raise invalid(
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
                "'sagemaker.amazonaws.com' to assume the role."
            ) from error

    def tag(self, resource: str, tags: Sequence[Mapping[str, str]]) -> list[Answer]:
        """Set tags; what the resource wears then."""
        worn = {**(self.records.get("tags", resource) or {}), **{tag["Key"]: tag["Value"] for tag in tags}}
        if len(worn) > 50:
            raise invalid(f"Too many tags: {len(worn)} on {resource}, at most 50")
        self.records.put("tags", resource, worn)
        return _as_list(worn)

    def untag(self, resource: str, keys: Sequence[str]) -> None:
        worn = self.tags(resource)
        self.records.put("tags", resource, {key: value for key, value in worn.items() if key not in keys})

    def tags(self, resource: str) -> dict[str, str]:
        return self.records.get("tags", resource) or {}

    def page(self, kind: str, params: Params, listing: Listing) -> Answer:
        return list_page((doc for _, doc in self.records.all(kind)), params, listing)


def public(doc: Mapping[str, Any]) -> Answer:
    """A record as Describe answers it: members of ours begin with an underscore and stay inside."""
    return {key: value for key, value in doc.items() if not key.startswith("_")}


def event_detail(doc: Mapping[str, Any], tags: Mapping[str, str]) -> Answer:
    """A record as EventBridge carries it: times in milliseconds."""
    return {**_in_milliseconds(public(doc)), "Tags": dict(tags)}


def _in_milliseconds(value: Any, member: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _in_milliseconds(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_milliseconds(item, member) for item in value]
    if isinstance(value, float) and (member.endswith("Time") or member == "Timestamp"):
        return int(value * 1000)
    return value


def _as_list(tags: Mapping[str, str]) -> list[Answer]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


class Tags:
    """AddTags, ListTags, DeleteTags for everything that has an ARN here."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def add_tags(self, params: Params) -> Answer:
        return {"Tags": self._room.tag(params["ResourceArn"], params["Tags"])}

    def list_tags(self, params: Params) -> Answer:
        return {"Tags": _as_list(self._room.tags(params["ResourceArn"]))}

    def delete_tags(self, params: Params) -> Answer:
        self._room.untag(params["ResourceArn"], params["TagKeys"])
        return {}

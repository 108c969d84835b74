"""What the deployer asks of a resource type."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from local_account.account import ACCOUNT_ID, REGION
from local_account.deploy.intrinsics import TemplateError


@dataclass(frozen=True, slots=True)
class Deployed:
    """One resource on its way: who it is, and the clients to make it with."""

    stack: str
    logical_id: str
    client: Callable[[str], Any]  # service name -> boto3 client of the operator
    physical_id: str | None = None  # set when it exists already

    def name(self, limit: int = 63, *, lower: bool = False) -> str:
        """CloudFormation-like physical name, the same at every deployment."""
        suffix = hashlib.sha256(f"{self.stack}/{self.logical_id}".encode()).hexdigest()[:10]
        head = f"{self.stack}-{self.logical_id}"[: limit - 11]
        return (head.lower() if lower else head) + "-" + suffix


@dataclass(frozen=True, slots=True)
class Made:
    physical_id: str  # what Ref answers
    attributes: dict[str, Any] = field(default_factory=dict)  # what GetAtt answers


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource type: the properties it knows, and how to put it in place.

    `put` creates the resource, or brings an existing one (`Deployed.physical_id`) to the given properties. `known` are the
    properties it acts on, `silent` those that mean nothing on one machine (each with its reason in the module).
    """

    put: Callable[[Deployed, dict[str, Any]], Made]
    known: frozenset[str]
    silent: frozenset[str] = frozenset()
    remove: Callable[[Deployed], None] | None = None
    replaceable: bool = True  # False: an existing one cannot be changed in place

    def check(self, deployed: Deployed, type_name: str, properties: dict[str, Any]) -> None:
        """Refuse a property this account would skip without a word."""
        unknown = set(properties) - self.known - self.silent
        if unknown:
            raise TemplateError(
                f"{deployed.logical_id} ({type_name}) sets {', '.join(sorted(unknown))}, which the local account does not play; "
                f"it knows {', '.join(sorted(self.known))}"
            )


def arn(service: str, resource: str, *, region: str = REGION, account: str = ACCOUNT_ID) -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def kind(
    put: Callable[[Deployed, dict[str, Any]], Made],
    known: str,
    silent: str = "",
    remove: Callable[[Deployed], None] | None = None,
    *,
    replaceable: bool = True,
) -> Kind:
    """A Kind from space-separated property names."""
    return Kind(put, frozenset(known.split()), frozenset((silent + " Tags").split()), remove, replaceable)


def lower_first(value: Any) -> Any:
    """CloudFormation writes `BucketARN`, most APIs `bucketARN`: the first letter of every key lower, to any depth."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: lower_first(member) for key, member in value.items()}
    return [lower_first(member) for member in value] if isinstance(value, list) else value

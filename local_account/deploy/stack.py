"""A stack: a packaged template brought to life, resource by resource, and brought up to date the same way.

The order is the dependencies' order. What is already as the template wants it is left alone, so that deploying twice does
nothing and a deployment that broke goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local_account.account import ACCOUNT_ID, REGION
from local_account.deploy.intrinsics import Resolver, TemplateError, references
from local_account.deploy.resources import KINDS, Deployed
from local_account.records import Records


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of a deployment: `done` of `total` resources, and what was just done."""

    done: int
    total: int
    logical_id: str
    type: str
    action: str  # "created", "updated", "kept", "removed"


class Stack:
    """One named stack over the records it keeps of itself."""

    def __init__(self, name: str, records: Records, client: Callable[[str], Any]) -> None:
        self.name, self._records, self._client = name, records, client

    def deploy(
        self, template: dict[str, Any], parameters: Mapping[str, str], tell: Callable[[Progress], None]
    ) -> dict[str, str]:
        """Make the stack be what an expanded template (no Serverless types left) says.

        Returns
        -------
        dict of str to str
            The stack's outputs.

        Raises
        ------
        TemplateError
            A type, property, reference or parameter this account does not play; nothing after it was touched.
        """
        values = self._parameters(template, parameters)
        resolver = Resolver(template, values, {})
        resources = {
            logical: resource
            for logical, resource in template["Resources"].items()
            if "Condition" not in resource or resolver.holds(resource["Condition"])
        }
        self._check_types(resources)
        order = in_order(resources)
        removed = [logical for logical in self._deployed() if logical not in resources]
        total = len(order) + len(removed)
        for done, logical in enumerate(order, 1):
            action = self._put(logical, resources[logical], resolver)
            tell(Progress(done, total, logical, resources[logical]["Type"], action))
        for done, logical in enumerate(removed, len(order) + 1):
            tell(Progress(done, total, logical, self._remove(logical), "removed"))
        outputs = {key: str(resolver.resolve(output["Value"])) for key, output in template.get("Outputs", {}).items()}
        self._records.put("outputs", self.name, outputs)
        return outputs

    def outputs(self) -> dict[str, str]:
        return self._records.get("outputs", self.name) or {}

    def resources(self) -> dict[str, dict[str, Any]]:
        """Logical id -> {type, physical_id, attributes, ...}, in the order they were first made."""
        return self._deployed()

    def _deployed(self) -> dict[str, dict[str, Any]]:
        head = f"{self.name}/"
        return {key.removeprefix(head): record for key, record in self._records.all("resource") if key.startswith(head)}

    def _parameters(self, template: dict[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
        declared = template.get("Parameters", {})
        if unknown := set(given) - set(declared):
            raise TemplateError(
                f"parameters {', '.join(sorted(unknown))} are not in the template; it has {', '.join(sorted(declared))}"
            )
        values: dict[str, Any] = {
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::Region": REGION,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.name,
            "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{self.name}/local",
        }
        for name, declaration in declared.items():
            if name not in given and "Default" not in declaration:
                raise TemplateError(
                    f"parameter {name} has no default and none was given: {declaration.get('Description', '')}"
                )
            value = str(given.get(name, declaration.get("Default")))
            allowed = [str(one) for one in declaration.get("AllowedValues", [])]
            if allowed and value not in allowed:
                raise TemplateError(f"parameter {name} is {value!r}; expected one of {', '.join(allowed)}")
            values[name] = value
        return values

    def _check_types(self, resources: Mapping[str, Any]) -> None:
        for logical, resource in resources.items():
            if resource["Type"] not in KINDS:
                raise TemplateError(
                    f"{logical} is a {resource['Type']}, which the local account does not play; it plays {', '.join(sorted(KINDS))}"
                )

    def _put(self, logical: str, resource: dict[str, Any], resolver: Resolver) -> str:
        properties = resolver.resolve(resource.get("Properties", {}))
        kind = KINDS[resource["Type"]]
        record = self._records.get("resource", f"{self.name}/{logical}")
        deployed = Deployed(self.name, logical, self._client, record["physical_id"] if record else None)
        kind.check(deployed, resource["Type"], properties)
        digest = hashlib.sha256(json.dumps(properties, sort_keys=True, default=str).encode()).hexdigest()
        action = "kept"
        if record is None or record["digest"] != digest:
            if record is not None and not kind.replaceable:
                raise TemplateError(
                    f"{logical} ({resource['Type']}) changed, and cannot be changed in place here; start with a new state folder"
                )
            made = kind.put(deployed, properties)
            action = "created" if record is None else "updated"
            record = {
                "type": resource["Type"],
                "physical_id": made.physical_id,
                "attributes": made.attributes,
                "digest": digest,
            }
            self._records.put("resource", f"{self.name}/{logical}", record)
        resolver.values[logical] = record["physical_id"]
        resolver.attributes.update({(logical, name): value for name, value in record["attributes"].items()})
        return action

    def _remove(self, logical: str) -> str:
        record = self._deployed()[logical]
        remove = KINDS[record["type"]].remove
        if remove is not None:
            remove(Deployed(self.name, logical, self._client, record["physical_id"]))
        self._records.delete("resource", f"{self.name}/{logical}")
        return record["type"]


def in_order(resources: Mapping[str, dict[str, Any]]) -> list[str]:
    """Logical ids, each after what it refers to or depends on; otherwise as the template has them.

    Raises
    ------
    TemplateError
        The resources depend on each other in a circle.
    """
    order: list[str] = []
    open_now: list[str] = []

    def visit(logical: str) -> None:
        if logical in order:
            return
        if logical in open_now:
            raise TemplateError(
                "resources depend on each other in a circle: "
                + " -> ".join([*open_now[open_now.index(logical) :], logical])
            )
        open_now.append(logical)
        resource = resources[logical]
        explicit = resource.get("DependsOn", [])
        needs = [explicit] if isinstance(explicit, str) else list(explicit)
        for name in [*needs, *references(resource.get("Properties", {}))]:
            if name in resources and name != logical:
                visit(name)
        open_now.pop()
        order.append(logical)

    for logical in resources:
        visit(logical)
    return order

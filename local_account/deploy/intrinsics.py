"""CloudFormation's intrinsic functions, resolved against what is deployed so far."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")
NO_VALUE = object()  # AWS::NoValue: the property is left out


class TemplateError(Exception):
    """The template says what this account cannot resolve or does not play; the sentence names the place."""


class Resolver:
    """Turns a property tree with intrinsics into plain values.

    Parameters
    ----------
    values : what `Ref` answers by name: parameters, pseudo parameters, and physical ids of deployed resources.
    attributes : what `Fn::GetAtt` answers, by (logical id, attribute).
    """

    def __init__(
        self, template: Mapping[str, Any], values: dict[str, Any], attributes: dict[tuple[str, str], Any]
    ) -> None:
        self._conditions: Mapping[str, Any] = template.get("Conditions", {})
        self._mappings: Mapping[str, Any] = template.get("Mappings", {})
        self.values, self.attributes = values, attributes
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": lambda arg: arg[0].join(str(part) for part in self.resolve(arg[1])),
            "Fn::Split": lambda arg: self.resolve(arg[1]).split(arg[0]),
            "Fn::Select": lambda arg: self.resolve(arg[1])[int(self.resolve(arg[0]))],
            "Fn::FindInMap": self._find_in_map,
            "Fn::If": lambda arg: self.resolve(arg[1] if self.holds(arg[0]) else arg[2]),
            "Fn::Equals": lambda arg: str(self.resolve(arg[0])) == str(self.resolve(arg[1])),
            "Fn::Not": lambda arg: not self._truth(arg[0]),
            "Fn::And": lambda arg: all(self._truth(one) for one in arg),
            "Fn::Or": lambda arg: any(self._truth(one) for one in arg),
        }

    def holds(self, condition: str) -> bool:
        """Whether a named condition is true for this deployment."""
        if condition not in self._conditions:
            raise TemplateError(f"condition {condition} is not in the template")
        return bool(self.resolve(self._conditions[condition]))

    def resolve(self, value: Any) -> Any:
        """Resolve a tree; AWS::NoValue members are gone from the result."""
        if isinstance(value, dict):
            if len(value) == 1 and (name := next(iter(value))) in self._functions:
                return self._functions[name](value[name])
            resolved = {key: self.resolve(member) for key, member in value.items()}
            return {key: member for key, member in resolved.items() if member is not NO_VALUE}
        if isinstance(value, list):
            return [member for member in map(self.resolve, value) if member is not NO_VALUE]
        return value

    def _truth(self, value: Any) -> bool:
        if isinstance(value, dict) and set(value) == {"Condition"}:
            return self.holds(value["Condition"])
        return bool(self.resolve(value))

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name not in self.values:
            raise TemplateError(f"Ref {name}: no such parameter or resource, or its condition is false")
        return self.values[name]

    def _get_att(self, arg: Any) -> Any:
        logical, attribute = arg.split(".", 1) if isinstance(arg, str) else (arg[0], arg[1])
        if (logical, attribute) not in self.attributes:
            raise TemplateError(f"GetAtt {logical}.{attribute}: this account does not know that attribute")
        return self.attributes[logical, attribute]

    def _sub(self, arg: Any) -> str:
        text, local = (arg, {}) if isinstance(arg, str) else (arg[0], self.resolve(arg[1]))

        def one(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return "${" + name + "}"
            if name in local:
                return str(local[name])
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _PLACEHOLDER.sub(one, text)

    def _find_in_map(self, arg: Any) -> Any:
        mapping, first, second = (self.resolve(part) for part in arg)
        try:
            return self._mappings[mapping][first][second]
        except KeyError:
            raise TemplateError(f"FindInMap {mapping}.{first}.{second} is not in the template") from None


def references(value: Any) -> Iterator[str]:
    """Logical ids and parameter names that a tree mentions, each as often as it stands there."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "Ref":
                yield member
            elif key == "Fn::GetAtt":
                yield member.split(".", 1)[0] if isinstance(member, str) else member[0]
            elif key == "Fn::Sub":
                text = member if isinstance(member, str) else member[0]
                yield from (name.split(".", 1)[0] for literal, name in _PLACEHOLDER.findall(text) if not literal)
                yield from references(member)
            else:
                yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)

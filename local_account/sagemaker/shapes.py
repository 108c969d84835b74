"""What a call may say, from botocore's own model of SageMaker: types, required members, enums, patterns, lengths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

from local_account.wire import AwsError


@cache
def sagemaker_model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def check(action: str, params: Mapping[str, Any]) -> None:
    """Refuse a request that does not have the shape of its action.

    Raises
    ------
    AwsError
        `ValidationException` in AWS's words, naming every member that is wrong.
    """
    shape = sagemaker_model().operation_model(action).input_shape
    if shape is None:
        return
    report = ParamValidator().validate(params, shape)
    if report.has_errors():
        raise AwsError("ValidationException", report.generate_report())
    found = list(_violations(params, shape, ""))
    if found:
        count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
        raise AwsError("ValidationException", f"{count}: {'; '.join(found)}")


def output_members(action: str) -> frozenset[str]:
    """Members that the answer of an action may have."""
    shape = sagemaker_model().operation_model(action).output_shape
    return frozenset(shape.members) if shape is not None else frozenset()


def _violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            if name in value:
                yield from _violations(value[name], member, f"{path}.{_lower(name)}" if path else _lower(name))
    elif isinstance(shape, ListShape):
        yield from _too_many(value, shape, path)
        for index, item in enumerate(value, start=1):
            yield from _violations(item, shape.member, f"{path}.{index}.member")
    elif isinstance(shape, MapShape):
        yield from _too_many(value, shape, path)
        for key, item in value.items():
            yield from _violations(key, shape.key, f"{path}.key")
            yield from _violations(item, shape.value, f"{path}.{key}.member")
    elif isinstance(shape, StringShape):
        yield from _wrong_text(value, shape, path)
    elif shape.type_name in ("integer", "long", "float", "double") and value > shape.metadata.get("max", value):
        yield _sentence(value, path, f"have value less than or equal to {shape.metadata['max']}")


def _wrong_text(value: str, shape: StringShape, path: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        yield _sentence(value, path, f"satisfy enum value set: [{', '.join(shape.enum)}]")
    if len(value) > shape.metadata.get("max", len(value)):
        yield _sentence(value[:80], path, f"have length less than or equal to {shape.metadata['max']}")
    pattern = shape.metadata.get("pattern")
    if pattern and (compiled := _compiled(pattern)) is not None and not compiled.fullmatch(value):
        yield _sentence(value, path, f"satisfy regular expression pattern: {pattern}")


def _too_many(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if len(value) > shape.metadata.get("max", len(value)):
        yield _sentence(f"{len(value)} items", path, f"have length less than or equal to {shape.metadata['max']}")


def _sentence(value: Any, path: str, rule: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: Member must {rule}"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern, or None where it is Java's alone (`\\p{L}`)."""
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]

"""Python values as DynamoDB writes them, and back.

boto3's own serialiser wants Decimal for every number and loads the whole resource layer; these records are JSON, whose
numbers fit DynamoDB's 38 digits as they stand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Attribute = dict[str, Any]


def to_attribute(value: Any) -> Attribute:
    """One value; ValueError for NaN and infinities, which no DynamoDB number can hold.

    Examples
    --------
    >>> to_attribute({"a": [1, 0.5, "x", None, True]})
    {'M': {'a': {'L': [{'N': '1'}, {'N': '0.5'}, {'S': 'x'}, {'NULL': True}, {'BOOL': True}]}}}
    """
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number that DynamoDB keeps")
        return {"N": repr(value)}
    if isinstance(value, Mapping):
        return {"M": to_item(value)}
    if isinstance(value, list | tuple):
        return {"L": [to_attribute(each) for each in value]}
    raise TypeError(f"{type(value).__name__} has no place in a DynamoDB item")


def to_item(record: Mapping[str, Any]) -> dict[str, Attribute]:
    return {key: to_attribute(value) for key, value in record.items()}


def from_attribute(attribute: Attribute) -> Any:
    """Back again: whole numbers as int, others as float; sets as lists."""
    ((kind, value),) = attribute.items()
    if kind == "N":
        return _number(value)
    if kind == "M":
        return from_item(value)
    if kind == "L":
        return [from_attribute(each) for each in value]
    if kind == "NULL":
        return None
    if kind == "NS":
        return [_number(each) for each in value]
    return value  # S, BOOL, B, SS


def from_item(item: Mapping[str, Attribute]) -> dict[str, Any]:
    return {key: from_attribute(value) for key, value in item.items()}


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)

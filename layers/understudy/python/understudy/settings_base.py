"""How a function's environment becomes a value: every field of a class of settings is one variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self

from understudy.errors import SettingsError

_READERS: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda text: {"true": True, "false": False}[text],
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Base of every door's settings. Field `traffic_table` reads the variable TRAFFIC_TABLE."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read every field at once.

        Raises
        ------
        SettingsError
            Names every variable that is missing or cannot be read, not just the first.
        """
        values: dict[str, Any] = {}
        problems: list[str] = []
        for field in fields(cls):
            text = environ.get(field.name.upper())
            if text is None:
                if field.default is MISSING:
                    problems.append(f"{field.name.upper()} is missing")
                continue
            try:
                values[field.name] = _READERS[str(field.type)](text)
            except (ValueError, KeyError):
                problems.append(f"{field.name.upper()}={text!r} is no {field.type}")
        if problems:
            raise SettingsError(cls.__name__, problems)
        return cls(**values)

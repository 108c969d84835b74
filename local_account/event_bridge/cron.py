"""Schedule expressions: `rate(5 minutes)`, `cron(0 4 * * ? *)`, `at(2026-11-23T04:00:00)`, in a time zone.

Local times that daylight saving leaves out are skipped; those it repeats happen once, at their first passing. So the
instants of a schedule are a set of points in UTC, and (a, b] always holds each of them exactly once.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

_RATE = re.compile(r"rate\((\d+) (minute|minutes|hour|hours|day|days)\)")
_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)")
_CRON = re.compile(r"cron\((.+)\)")
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
LAST_YEAR = 2199
MAX_DAYS_AHEAD = 366 * 28  # a leap day on a given weekday comes back within 28 years


@dataclass(frozen=True, slots=True)
class Expression:
    """One of three kinds; exactly one of `rate_s`, `at`, `cron` is set."""

    rate_s: int = 0
    at: datetime | None = None  # local, naive
    cron: Cron | None = None

    @classmethod
    def parse(cls, text: str, *, at: bool = True) -> Self:
        """Read an expression; rules know no `at(...)`.

        Raises
        ------
        ValueError
            With what is wrong.
        """
        if found := _RATE.fullmatch(text):
            value, unit = int(found[1]), found[2].removesuffix("s")
            if value < 1 or (value == 1) != (found[2] == unit):
                raise ValueError(f"{text}: one {unit}, or more {unit}s")
            return cls(rate_s=value * _UNITS[unit])
        if at and (found := _AT.fullmatch(text)):
            return cls(at=datetime.fromisoformat(found[1]))
        if found := _CRON.fullmatch(text):
            return cls(cron=Cron.parse(found[1]))
        raise ValueError(f"{text} is neither rate(...) nor cron(...){' nor at(...)' if at else ''}")

    def next_after(self, after: float, zone: ZoneInfo, anchor: float) -> float | None:
        """The first instant (epoch s) later than `after`; None if there is none.

        `anchor` is when a rate began: it fires at the anchor and every period from there.
        """
        if self.rate_s:
            periods = max(0, int((after - anchor) // self.rate_s) + 1) if after >= anchor else 0
            return anchor + periods * self.rate_s
        if self.at is not None:
            instant = _instant(self.at, zone)
            return instant if instant is not None and instant > after else None
        return None if self.cron is None else self.cron.next_after(after, zone)


@dataclass(frozen=True, slots=True)
class Cron:
    """The six fields of an AWS cron expression."""

    minutes: frozenset[int]
    hours: frozenset[int]
    day_of_month: str
    months: frozenset[int]
    day_of_week: str
    years: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        parts = text.split()
        if len(parts) != 6:
            raise ValueError(
                f"cron({text}) has {len(parts)} fields, not 6: minutes hours day-of-month month day-of-week year"
            )
        minutes, hours, of_month, months, of_week, years = parts
        if (of_month == "?") == (of_week == "?"):
            raise ValueError(f"cron({text}): one of day-of-month and day-of-week must be ?, and only one")
        cron = cls(
            _values(minutes, 0, 59),
            _values(hours, 0, 23),
            of_month,
            _values(months, 1, 12, _MONTHS),
            of_week.upper(),
            _values(years, 1970, LAST_YEAR),
        )
        cron.has_day(date(2024, 2, 29))  # what cannot be read is said now
        return cron

    def has_day(self, day: date) -> bool:
        if day.year not in self.years or day.month not in self.months:
            return False
        return _of_month(self.day_of_month, day) if self.day_of_week == "?" else _of_week(self.day_of_week, day)

    def next_after(self, after: float, zone: ZoneInfo) -> float | None:
        day = datetime.fromtimestamp(after, zone).date() - timedelta(days=1)
        for _ in range(MAX_DAYS_AHEAD):
            if day.year > LAST_YEAR:
                return None
            if self.has_day(day):
                instants = (_instant(datetime.combine(day, time(h, m)), zone) for h in self.hours for m in self.minutes)
                later = [instant for instant in instants if instant is not None and instant > after]
                if later:
                    return min(later)
            day += timedelta(days=1)
        return None


def _instant(local: datetime, zone: ZoneInfo) -> float | None:
    """Epoch seconds of a local time, the first passing of a repeated one, None for one that is left out."""
    aware = local.replace(tzinfo=zone, fold=0)
    utc = aware.astimezone(UTC)
    return utc.timestamp() if utc.astimezone(zone).replace(tzinfo=None) == local else None


def _values(text: str, least: int, most: int, names: dict[str, int] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for part in text.upper().split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = least, most
        elif "-" in span:
            first, last = (_number(word, names) for word in span.split("-", 1))
        else:
            first = _number(span, names)
            last = most if step else first
        if not least <= first <= most or not least <= last <= most or (step and not step.isdigit()) or step == "0":
            raise ValueError(f"{part} is no value from {least} to {most}")
        stride = int(step or 1)
        wrapped = last + (most - least + 1) if last < first else last  # FRI-MON, 22-2
        found |= {(n - least) % (most - least + 1) + least for n in range(first, wrapped + 1, stride)}
    return frozenset(found)


def _number(word: str, names: dict[str, int] | None) -> int:
    if names and word in names:
        return names[word]
    if not word.isdigit():
        raise ValueError(f"{word!r} is no number")
    return int(word)


def _of_month(text: str, day: date) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    text = text.upper()
    if text == "L":
        return day.day == last
    if text.endswith("W"):
        wanted = last if text == "LW" else min(_number(text[:-1], None), last)
        return day == _nearest_weekday(day.replace(day=wanted))
    return day.day in _values(text, 1, 31)


def _nearest_weekday(day: date) -> date:
    """The weekday nearest a day, in the same month."""
    if day.weekday() < 5:
        return day
    if day.weekday() == 5:
        return day - timedelta(days=1) if day.day > 1 else day + timedelta(days=2)
    last = calendar.monthrange(day.year, day.month)[1]
    return day + timedelta(days=1) if day.day < last else day - timedelta(days=2)


def _of_week(text: str, day: date) -> bool:
    number = day.isoweekday() % 7 + 1  # SUN is 1
    if "#" in text:
        weekday, _, place = text.partition("#")
        return number == _number(weekday, _DAYS) and (day.day - 1) // 7 + 1 == _number(place, None)
    if text.endswith("L") and text != "L":
        return number == _number(text[:-1], _DAYS) and (day + timedelta(days=7)).month != day.month
    return number in ({7} if text == "L" else _values(text, 1, 7, _DAYS))

"""MovieLens 100K and 1M as canonical events.

A rating says that a user looked at a film: an impression, and a click at the same moment if the rating is 4 or 5 (`value`
keeps it). Users: age, occupation as segment, the first three characters of the zip code as city. Items: title, first genre as
topic, 1 January of the release year as created_at. The log does not say when anybody registered or a film was added: both
are taken as known from midnight (UTC) of the day of their first rating, films from their release year if that is earlier.

Formats, found by their files: RecBole's `ml-100k.inter/.user/.item`; GroupLens's `u.data/u.user/u.item` and
`ratings.dat/users.dat/movies.dat`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from features.importers.reading import Chunk, ImportFailed, column_names, read_text
from features.importers.run import Import, Report, Target, first_days, importing

CLICK_FROM = 4.0
U_GENRES = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]
OCCUPATIONS = [
    "other",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
]


@dataclass(frozen=True, slots=True)
class _Format:
    """File names, how they are split, and SQL that reads them alike. Column `first` is the id's first day."""

    ratings: str
    users: str
    items: str
    delimiters: tuple[str, str, str]
    encoding: str
    columns: tuple[tuple[str, ...] | None, tuple[str, ...] | None, tuple[str, ...] | None]
    year: str
    title: str
    genre: str
    segment: str


_IN_TITLE = "regexp_extract(title, '\\((\\d{4})\\)', 1)"  # Toy Story (1995)
_BARE_TITLE = "regexp_replace(title, '\\s*\\(\\d{4}\\)\\s*$', '')"
_RATING = ("user_id", "item_id", "rating", "timestamp")
_FIRST_GENRE = "CASE " + " ".join(
    f"WHEN g{i} = '1' THEN {name!r}" for i, name in enumerate(U_GENRES) if "'" not in name
)
_FIRST_GENRE += " WHEN g4 = '1' THEN 'Children''s' END"

FORMATS = (
    _Format(
        "ml-100k.inter", "ml-100k.user", "ml-100k.item", ("\t", "\t", "\t"), "utf-8-sig", (None, None, None),
        "release_year", "movie_title", "split_part(class, ' ', 1)", "occupation",
    ),
    _Format(
        "u.data", "u.user", "u.item", ("\t", "|", "|"), "latin-1",
        (_RATING, ("user_id", "age", "gender", "occupation", "zip_code"),
         ("item_id", "title", "released", "video_released", "url", *(f"g{i}" for i in range(len(U_GENRES))))),
        _IN_TITLE, _BARE_TITLE, _FIRST_GENRE, "occupation",
    ),
    _Format(
        "ratings.dat", "users.dat", "movies.dat", ("::", "::", "::"), "latin-1",
        (_RATING, ("user_id", "gender", "age", "occupation", "zip_code"), ("item_id", "title", "genres")),
        _IN_TITLE, _BARE_TITLE, "split_part(genres, '|', 1)",
        f"list_extract([{', '.join(repr(name) for name in OCCUPATIONS)}], CAST(occupation AS INTEGER) + 1)",
    ),
)  # fmt: skip


def import_movielens(folder: Path, target: Target) -> Report:
    """Import a MovieLens folder.

    Raises
    ------
    ImportFailed
        If the folder is no MovieLens release we know, or one of its files cannot be read.
    """
    known = next((one for one in FORMATS if (folder / one.ratings).exists()), None)
    if known is None:
        wanted = ", ".join(f"{one.ratings} + {one.users} + {one.items}" for one in FORMATS)
        raise ImportFailed(f"{folder} holds no MovieLens ratings; expected one of: {wanted}")
    with importing(target) as one:
        _ratings(one, known, folder / known.ratings)
        _users(one, known, folder / known.users)
        _items(one, known, folder / known.items)
        one.close_stagers()
        return one.finish(target)


def _ratings(one: Import, known: _Format, file: Path) -> None:
    id_ = "'ml-' || user_id || '-' || item_id"
    shared = {
        "event_time": "timestamp",
        "known_at": "timestamp",
        "user_id": "user_id",
        "item_id": "item_id",
        "value": "rating",
    }
    shown = one.stager("events", shared | {"event_id": f"{id_} || '-i'", "event_type": "'impression'"})
    clicked = one.stager("events", shared | {"event_id": f"{id_} || '-c'", "event_type": "'click'"})
    for chunk in _chunks(known, 0, file):
        one.take(shown, chunk, file)
        chunk.broken.clear()  # told once, by the impressions
        one.take(clicked, chunk, file, f"TRY_CAST(rating AS DOUBLE) >= {CLICK_FROM}")
    one.close_stagers()


def _users(one: Import, known: _Format, file: Path) -> None:
    first_days(one.database, one.files("events"), "user_id")
    day = "coalesce((SELECT day FROM first_days WHERE id = user_id), (SELECT min(day) FROM first_days))"
    columns = {"user_id": "user_id", "age": "age", "city": "left(zip_code, 3)", "segment": known.segment}
    stager = one.stager("users", columns | {"signup_time": day, "known_at": day})
    for chunk in _chunks(known, 1, file):
        one.take(stager, chunk, file)


def _items(one: Import, known: _Format, file: Path) -> None:
    first_days(one.database, one.files("events"), "item_id")
    year = f"TRY_CAST(nullif({known.year}, '') AS INTEGER)"
    created = f"make_date({year}, 1, 1)"
    day = "coalesce((SELECT day FROM first_days WHERE id = item_id), (SELECT min(day) FROM first_days))"
    columns = {
        "item_id": "item_id",
        "title": known.title,
        "topic": f"nullif({known.genre}, 'unknown')",
        "created_at": created,
    }
    stager = one.stager("items", columns | {"known_at": f"least({day}, greatest({created}, DATE '1970-01-01'))"})
    for chunk in _chunks(known, 2, file):
        one.take(stager, chunk, file)


def _chunks(known: _Format, which: int, file: Path) -> Iterator[Chunk]:
    """A file's chunks. RecBole's header says `user_id:token`, which is read as `user_id`; GroupLens's files have none."""
    given, delimiter = known.columns[which], known.delimiters[which]
    names = given or tuple(name.split(":")[0] for name in column_names(file, delimiter))
    return read_text(file, delimiter, names, known.encoding, quoted=False, header=given is None)

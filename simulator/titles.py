"""Titles that read like titles: a form, a subject of the topic, and what is said about it."""

from __future__ import annotations

import numpy as np

SUBJECTS: dict[str, tuple[str, ...]] = {
    "cooking": (
        "sourdough",
        "lentil soup",
        "weeknight curry",
        "roast fennel",
        "fresh pasta",
        "plum cake",
        "miso broth",
    ),
    "football": ("the offside line", "penalty nerves", "the false nine", "youth academies", "derby day", "set pieces"),
    "travel": ("night trains", "Lisbon's hills", "the Dolomites", "island ferries", "small museums", "Kyoto in winter"),
    "music": ("bedroom synths", "Bach's cello suites", "the B-side", "jazz brunches", "vinyl crates", "choir practice"),
    "science": ("deep-sea vents", "the neutrino hunt", "bird migration", "slime moulds", "old starlight", "sleep"),
    "film": ("the long take", "silent comedies", "heist films", "film scores", "the double feature", "black and white"),
    "gardening": ("balcony tomatoes", "compost", "the first frost", "wild borders", "old roses", "seed swaps"),
    "fitness": ("slow running", "kettlebells", "stretching", "cold swims", "cycling uphill", "the rest day"),
    "books": ("short stories", "second readings", "library cards", "the campus novel", "letters", "translated crime"),
    "money": ("index funds", "the first budget", "shared bills", "mortgages", "flea markets", "quiet saving"),
    "parenting": ("bedtime", "school lunches", "rainy Sundays", "the first bike", "screen time", "grandparents"),
    "gadgets": ("mechanical keyboards", "old cameras", "e-ink", "home batteries", "radio kits", "the repair shop"),
}
TOPICS = tuple(SUBJECTS)

FORMS = (
    "A beginner's guide to {}",
    "What {} taught me",
    "The quiet return of {}",
    "Ten minutes with {}",
    "Why we still love {}",
    "{}, explained",
    "Notes on {}",
    "Everything I got wrong about {}",
    "In praise of {}",
    "{}: a diary",
    "The trouble with {}",
    "A year of {}",
)
TAILS = ("", "", "", ", part two", " for two", " on a budget", ", honestly", " after forty", " before breakfast")


def make_titles(rng: np.random.Generator, topics: np.ndarray) -> list[str]:
    """One title an item; `topics` holds indices into TOPICS."""
    forms, tails = rng.integers(len(FORMS), size=len(topics)), rng.integers(len(TAILS), size=len(topics))
    subjects = rng.integers(1 << 16, size=len(topics))
    titles = []
    for topic, form, tail, draw in zip(topics.tolist(), forms.tolist(), tails.tolist(), subjects.tolist(), strict=True):
        choices = SUBJECTS[TOPICS[topic]]
        text = FORMS[form].format(choices[draw % len(choices)]) + TAILS[tail]
        titles.append(text[0].upper() + text[1:])
    return titles

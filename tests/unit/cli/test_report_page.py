"""The report's page: the whole arc in one file, its figures in tables, and for every empty part the reason."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from cli.report_answers import in_alarm
from cli.report_history import TrafficHistory, spells
from cli.report_page import render, sections
from cli.report_story import Story
from support.stories import DRIFT, NEW, NOW, OLD, ago, history, story


class Structure(HTMLParser):
    """What a browser and a screen reader find in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        for name in ("src", "href", "xlink:href"):
            target = given.get(name)
            if target and not target.startswith("#"):
                self.fetched.append(target)


@pytest.fixture(scope="module")
def page() -> str:
    return render(story())


@pytest.fixture(scope="module")
def structure(page: str) -> Structure:
    found = Structure()
    found.feed(page)
    return found


def test_the_page_is_one_file_without_a_script_or_anything_to_fetch(structure: Structure, page: str) -> None:
    assert "script" not in structure.tags
    assert "link" not in structure.tags
    assert structure.fetched == []
    assert not re.search(r"url\((?!#)|@import", page)


def test_every_plot_is_described_and_has_its_figures_in_a_table(page: str) -> None:
    figures = re.findall(r"<figure>.*?</figure>", page, re.DOTALL)
    assert len(figures) == 7
    for figure in figures:
        assert re.search(r"<svg[^>]*role=\"img\"[^>]*><title>[^<]+</title><desc>[^<]{40,}</desc>", figure)
        assert "<table>" in figure
        assert "<figcaption>" in figure


def test_no_two_elements_of_the_page_share_an_id_apart_from_identical_clip_paths(
    page: str, structure: Structure
) -> None:
    twice = {one for one in structure.ids if structure.ids.count(one) > 1}
    for one in twice:
        assert len(set(re.findall(rf'<\w+ id="{one}"[^>]*>.*?</', page, re.DOTALL))) == 1


def test_plots_are_drawn_in_the_pages_own_colours_so_that_dark_and_light_can_set_them(page: str) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}", drawings)) <= {"#000000"}  # hatches, drawn over a colour
    assert "var(--s0)" in drawings
    used = set(re.findall(r"var\((--[a-z0-9]+)\)", page))
    light, dark = (block for block in re.findall(r":root \{(.*?)\}", page, re.DOTALL))
    for name in used:
        assert f"{name}:" in light
        assert f"{name}:" in dark


def test_the_arc_is_told_from_night_to_decision(page: str) -> None:
    for said in (NEW, OLD, "drift of ranking quality: a night on newer data", "OK → ALARM", "watch", "passed the gate"):
        assert said in page
    assert "$1.08" in page  # 14 jobs of 600 s on ml.m5.2xlarge at $0.461 an hour


def test_of_a_stack_where_nothing_happened_every_part_says_so_and_what_to_do() -> None:
    empty = Story("understudy", ago(24), NOW, 1)
    for section in sections(empty):
        assert section.empty
        assert not section.plots
        assert not section.tables
    assert "understudy night starts one" in render(empty)


def test_a_part_that_could_not_be_read_says_why_in_its_section() -> None:
    refused = Story("understudy", ago(24), NOW, 1, silent={"transitions": "DescribeAlarmHistory was refused: no right"})
    said = {section.key: section.empty for section in sections(refused)}
    assert said["decisions"] == "DescribeAlarmHistory was refused: no right"
    assert said["drift"].startswith("no monitor reported")


def test_a_name_from_outside_is_text_and_never_markup() -> None:
    page = render(Story("<script>alert(1)</script>", ago(24), NOW, 1))
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page


def test_shares_make_a_whole_at_every_time_and_follow_the_writes() -> None:
    found = spells(history(), ago(24), NOW)
    assert all(sum(spell.shares.values()) == 10000 for spell in found)
    assert [spell.shares.get(NEW, 0) for spell in found] == [0, 1000, 5000, 9500, 10000]
    assert found[0].since == ago(24)
    assert all(one.until == other.since for one, other in pairwise(found))


def test_before_the_first_known_write_nobody_is_said_to_serve() -> None:
    later = TrafficHistory(history().changes[1:], [])
    assert spells(later, ago(24), NOW)[0].since == ago(4)


def test_an_alarm_that_was_told_twice_rang_once() -> None:
    told = story().transitions
    again = [told[0], told[0], told[1]]
    assert in_alarm(again, NOW) == [(DRIFT, told[0].at, told[1].at)]


def test_plots_begin_where_the_story_does() -> None:
    told = story()
    assert told.since < told.began() < ago(5.9)
    assert told.began() > ago(6) - timedelta(hours=0.2)

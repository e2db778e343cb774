"""Choices over chunks of points: what is left is what plain Python takes of all, however they were split."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncost.analysis import choice
from cnncost.analysis.choice import DISTANCE, POINT, Aim, Nearest, Pareto, Top, parse_nearest, parse_pareto
from cnncost.analysis.conditions import BYTES, COUNT
from cnncost.errors import UsageError

NAMES = {"batch": "batch", "macs": "macs", "params": "params", "peak": "peak_bytes", "act": "act"}
Row = dict[str, Any]
Make = Callable[[], Any]


@pytest.fixture(autouse=True, params=[False, True], ids=["large-blocks", "small-blocks"])
def blocks(request: pytest.FixtureRequest) -> Iterator[None]:
    """With small blocks, few points meet every border between blocks and between fronts."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setattr(choice, "WAITING_AT_MOST", 2)
            patch.setattr(choice, "PAIRS", 8)
            patch.setattr(choice, "BLOCK", 2)
        yield


def chunk(rows: list[Row], **dtypes: Any) -> dict[str, Any]:
    """Rows as columns."""
    names = [POINT, "macs", "params", "batch", "time", "act"]
    kinds: dict[str, Any] = {"time": np.float64, "act": np.str_, **dtypes}
    return {name: np.array([row[name] for row in rows], kinds.get(name, np.int64)) for name in names}


def points(found: Any) -> list[int]:
    rows = found.rows()
    return rows[POINT].tolist() if rows else []


SMALL = st.integers(0, 4)
TABLES = st.lists(
    st.fixed_dictionaries(
        {
            "macs": SMALL | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63)]),
            "params": SMALL,
            "batch": SMALL,
            "time": st.sampled_from([0.0, 0.5, 1.0, 2.0, math.nan]),
            "act": st.sampled_from(["relu", "gelu", "silu6"]),
        }
    ),
    max_size=24,
).map(lambda rows: [{**row, POINT: i} for i, row in enumerate(rows)])


def gathered(make: Make, rows: list[Row], data: st.DataObject) -> Any:
    """Rows in any order, in any chunks, through any tree of merges, some of which come from elsewhere."""
    rows = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    parts = []
    for start, end in zip([0, *cuts], [*cuts, len(rows)]):
        if not parts or data.draw(st.booleans()):
            parts.append(make())
        parts[-1].add(chunk(rows[start:end]))
    while len(parts) > 1:
        other = parts.pop(data.draw(st.integers(0, len(parts) - 1)))
        parts[data.draw(st.integers(0, len(parts) - 1))].merge(pickle.loads(pickle.dumps(other)))
    return parts[0]


# ---- the first by a column --------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(TABLES, st.sampled_from(["macs", "time", "act"]), st.integers(1, 8), st.booleans(), st.data())
def test_top_is_the_head_of_the_sorted_table(
    rows: list[Row], key: str, count: int, reverse: bool, data: st.DataObject
) -> None:
    known = [row for row in rows if row[key] == row[key]]
    expected = sorted(known, key=lambda row: row[key], reverse=reverse)[:count]  # stable: ties by number
    found = gathered(lambda: Top(key, count, reverse), rows, data)
    assert points(found) == [row[POINT] for row in expected]
    if rows:
        whole = chunk(expected)
        assert {name: str(column) for name, column in found.rows().items()} == {
            name: str(whole[name]) for name in whole
        }


def test_top_keeps_no_more_than_it_needs() -> None:
    top, rng = Top("macs", 3), np.random.default_rng(1)
    for start in range(0, 10**6, 10**5):
        top.add({POINT: np.arange(start, start + 10**5), "macs": rng.permutation(10**5)})
        assert sum(len(part[POINT]) for part in top._parts) <= choice.WAITING_AT_MOST + 2 * 3
    assert top.rows()["macs"].tolist() == [0, 0, 0]


def test_only_what_was_found_is_sent_to_other_processes() -> None:
    rows = {POINT: np.arange(10**4), "macs": np.arange(10**4)}
    for found in (Top("macs", 3), Pareto([Aim("macs")]), Nearest({"macs": 5}, 3)):
        found.add(rows)
        assert len(pickle.dumps(found)) < 2000


def test_choices_do_not_keep_the_callers_arrays() -> None:
    for found in (Top("macs", 2), Pareto([Aim("macs")]), Nearest({"macs": 5}, 2)):
        column = np.array([5, 6])
        found.add({POINT: np.array([0, 1]), "macs": column})
        column[:] = 0
        assert found.rows()["macs"].tolist()[0] == 5


def test_nothing_added_is_nothing_found() -> None:
    for found in (Top("macs", 2), Pareto([Aim("macs")]), Nearest({"macs": 5}, 2)):
        assert found.rows() == {}
        found.merge(pickle.loads(pickle.dumps(found)))
        assert found.rows() == {}
        found.add(chunk([]))
        assert {len(column) for column in found.rows().values()} == {0}


# ---- what no other point beats ----------------------------------------------------------------------


def beats(a: Row, b: Row, aims: list[Aim]) -> bool:
    """Whether a point makes another one needless: better, or as good and lower in number."""
    pairs = [(b[aim.column], a[aim.column]) if aim.largest else (a[aim.column], b[aim.column]) for aim in aims]
    return all(x <= y for x, y in pairs) and (any(x < y for x, y in pairs) or a[POINT] < b[POINT])


AIMS = st.lists(
    st.builds(Aim, st.sampled_from(["macs", "params", "batch", "time"]), st.booleans()),
    min_size=1,
    max_size=4,
    unique_by=lambda aim: aim.column,
)


@settings(max_examples=300, deadline=None)
@given(TABLES, AIMS, st.data())
def test_pareto_is_what_no_other_point_beats(rows: list[Row], aims: list[Aim], data: st.DataObject) -> None:
    known = [row for row in rows if all(row[aim.column] == row[aim.column] for aim in aims)]
    expected = [row for row in known if not any(beats(other, row, aims) for other in known)]
    expected.sort(key=lambda row: [-row[aim.column] if aim.largest else row[aim.column] for aim in aims])
    found = gathered(lambda: Pareto(aims), rows, data)
    assert points(found) == [row[POINT] for row in expected]


@pytest.mark.parametrize("columns", ["ab", "abc", "abcd"])
def test_pareto_of_many_points(columns: str) -> None:
    rng = np.random.default_rng(7)
    table = {name: rng.integers(0, 40, 1200) for name in columns}
    table["b"] = 100 - sum(column for name, column in table.items() if name != "b") + rng.integers(0, 9, 1200)
    values = np.array([*table.values()])
    lower = np.array(
        [(values <= values[:, [i]]).all(axis=0) & (values < values[:, [i]]).any(axis=0) for i in range(1200)]
    )
    alone = np.flatnonzero(~lower.any(axis=1))
    expected = {tuple(values[:, i]): i for i in alone[::-1]}  # of equal ones the lowest number
    found = Pareto([Aim(name) for name in columns])
    for start in range(0, 1200, 300):
        part = slice(start, start + 300)
        found.add({POINT: np.arange(1200)[part], **{name: column[part] for name, column in table.items()}})
    assert sorted(points(found)) == sorted(expected.values())
    assert len(expected) > 20


def test_whole_numbers_near_the_end_of_int64_are_told_apart() -> None:
    rows = {POINT: np.arange(3), "macs": 2**63 - 1 - np.array([1, 0, 2]), "batch": 2**53 + np.array([1, 2, 0])}
    for reverse, expected in ((False, [2, 0, 1]), (True, [1, 0, 2])):
        top = Top("macs", 3, reverse)
        top.add(rows)
        assert points(top) == expected
    front = Pareto([Aim("macs"), Aim("batch", largest=True)])
    front.add(rows)
    assert points(front) == [2, 0, 1]
    front = Pareto([Aim("macs", largest=True), Aim("batch", largest=True)])
    front.add(rows)
    assert points(front) == [1]


def test_missing_values_are_never_chosen() -> None:
    rows = {POINT: np.arange(3), "time": np.array([2.0, None, 1.0], object)}
    for found, expected in (
        (Top("time", 3), [2, 0]),
        (Pareto([Aim("time")]), [2]),
        (Nearest({"time": 2}, 3), [0, 2]),
    ):
        found.add(rows)
        assert points(found) == expected


@pytest.mark.parametrize("found", [Pareto([Aim("act")]), Nearest({"act": 1}, 1)])
def test_text_has_no_size(found: Any) -> None:
    with pytest.raises(UsageError) as caught:
        found.add({POINT: np.arange(1), "act": np.array(["relu"])})
    assert str(caught.value) == "act is text, which has no size\nhint: choose by a column of numbers"


# ---- the nearest ------------------------------------------------------------------------------------


def distance(row: Row, targets: dict[str, float]) -> float:
    """The root mean square of ln(value / target); a zero is infinitely far from all but zero."""
    off = []
    for name, target in targets.items():
        value = float(row[name])
        apart = math.isnan(value) or target == value
        ratio = value if apart else value / target if target and value / target > 0 else math.inf
        off.append(0.0 if target == value else math.log(ratio))
    return math.sqrt(sum(n * n for n in off) / len(off))


TARGETS = st.dictionaries(st.sampled_from(["macs", "params", "time"]), st.sampled_from([0, 1, 2, 3.5]), min_size=1)


@settings(max_examples=200, deadline=None)
@given(TABLES, TARGETS, st.integers(1, 8), st.data())
def test_nearest_is_the_head_of_the_table_by_distance(
    rows: list[Row], targets: dict[str, float], count: int, data: st.DataObject
) -> None:
    found = gathered(lambda: Nearest(targets, count), rows, data)
    away = {row[POINT]: distance(row, targets) for row in rows}
    known = sorted((d, number) for number, d in away.items() if not math.isnan(d))[:count]
    got = found.rows()[DISTANCE].tolist() if rows else []
    assert got == pytest.approx([d for d, _ in known], rel=1e-12)
    assert [away[number] for number in points(found)] == pytest.approx(got, rel=1e-12)
    whole = Nearest(targets, count)
    whole.add(chunk(rows))
    assert points(found) == points(whole)
    assert (found.rows().get(DISTANCE, 0) == whole.rows()[DISTANCE]).all() if rows else not points(found)


def test_distance_is_of_ratios() -> None:
    near = Nearest({"macs": 600, "params": 5}, 9)
    near.add({POINT: np.arange(4), "macs": np.array([600, 1200, 300, 0]), "params": np.array([5, 5, 5, 5])})
    assert points(near) == [0, 1, 2, 3]  # twice is as far as half, and ties go by number
    once = math.log(2) / math.sqrt(2)
    assert near.rows()[DISTANCE].tolist() == pytest.approx([0, once, once, math.inf])


def test_targets_may_be_larger_than_any_size() -> None:
    near = Nearest(parse_nearest("macs=1e300", NAMES), 1)
    near.add({POINT: np.arange(2), "macs": np.array([5, 2**63 - 1])})
    assert points(near) == [1]
    assert near.rows()[DISTANCE].tolist() == pytest.approx([300 * math.log(10) - 63 * math.log(2)])


def test_distance_does_not_depend_on_where_a_value_stands() -> None:
    values = np.random.default_rng(3).random(1000) * 10**9
    whole = Nearest({"macs": 3e8}, 1000)
    whole.add({POINT: np.arange(1000), "macs": values})
    parts = Nearest({"macs": 3e8}, 1000)
    for start in range(0, 1000, 7):
        parts.add({POINT: np.arange(1000)[start::1000][:1], "macs": values[start::1000][:1]})
    spread = dict(zip(points(parts), parts.rows()[DISTANCE].tolist()))
    every = dict(zip(points(whole), whole.rows()[DISTANCE].tolist()))
    assert len(spread) == 143
    assert spread.items() <= every.items()


def test_no_rows_are_no_choice() -> None:
    with pytest.raises(UsageError) as caught:
        Top("macs", 0)
    assert str(caught.value) == "0 rows asked for\nhint: ask for 1 at least"


# ---- from the command line --------------------------------------------------------------------------


def test_pareto_is_read() -> None:
    assert parse_pareto("macs,peak", NAMES) == (Aim("macs"), Aim("peak_bytes"))
    assert parse_pareto("-batch, max:peak,min:macs", NAMES) == (
        Aim("batch", largest=True),
        Aim("peak_bytes", largest=True),
        Aim("macs"),
    )


def test_nearest_is_read() -> None:
    assert parse_nearest("macs=600M,params=5M", NAMES) == {"macs": 600 * 10**6, "params": 5 * 10**6}
    assert parse_nearest(" macs = 1,000,000 , peak=64MiB", NAMES) == {"macs": 10**6, "peak_bytes": 64 * 2**20}


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_pareto, "", "a name is missing in ''\nhint: write macs,peak or macs,-batch"),
        (parse_pareto, "macs,,peak", "a name is missing in macs,,peak\nhint: write macs,peak or macs,-batch"),
        (parse_pareto, "macs,-", "a name is missing in macs,-\nhint: write macs,peak or macs,-batch"),
        (parse_pareto, "macs,peek", "unknown name peek in macs,peek\nhint: did you mean peak?"),
        (parse_pareto, "macs,-macs", "macs twice in macs,-macs\nhint: name every column once"),
        (parse_nearest, "", "a name is missing in ''\nhint: write macs=600M,params=5M"),
        (parse_nearest, "macs=5,", "a name is missing in macs=5,\nhint: write macs=600M,params=5M"),
        (parse_nearest, "macs", "no target for macs in macs\nhint: write macs=600M"),
        (parse_nearest, "macs=", "no target for macs in macs=\nhint: write macs=600M"),
        (parse_nearest, "mac=5", "unknown name mac in mac=5\nhint: did you mean macs?"),
        (parse_nearest, "macs=5,macs=6", "macs twice in macs=5,macs=6\nhint: give every column one target"),
        (parse_nearest, "macs=0", "target macs=0 is not above 0\nhint: distances are ratios: give what there is"),
        (parse_nearest, "macs=-5M", "target macs=-5M is not above 0\nhint: distances are ratios: give what there is"),
        (parse_nearest, "macs=many", "many is no number\nhint: write 600M, 64MiB, 5ms or 1000"),
        (parse_nearest, "macs=600m", "unknown unit m\n  600m\n     ^\nhint: did you mean M?"),
    ],
)
def test_what_cannot_be_read_is_told(parse: Callable[[str, Any], Any], text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, NAMES)
    assert str(caught.value) == message


def test_a_target_is_of_what_its_column_is() -> None:
    names, measures = {"macs": "macs", "peak": "peak_bytes"}, {"macs": COUNT, "peak_bytes": BYTES}
    assert parse_nearest("macs=5M,peak=64MiB", names, measures) == {"macs": 5 * 10**6, "peak_bytes": 64 * 2**20}
    assert parse_nearest("peak=64M", names, measures) == {"peak_bytes": 64 * 10**6}
    for text, message in (
        ("macs=5ms", "5ms is a time, where a plain number belongs"),
        ("peak=5 s", "5 s is a time, where a number of bytes belongs"),
        ("macs=64MiB", "64MiB is a number of bytes, where a plain number belongs"),
    ):
        with pytest.raises(UsageError, match=message):
            parse_nearest(text, names, measures)

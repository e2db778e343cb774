"""Budgets: a limit is exceeded where more is used, growth where it is more than allowed, and by which layers."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnncost
from cnncost.analysis.budget import BY_LAYER, GROWING, TOTALS, Growth, Use, parse_growth
from cnncost.spec.amounts import Amount, parse_bytes, parse_count, parse_time
from cnncost.spec.budget import QUANTITIES, SIZES, Budget, Limit, budget_of, limit, overridden

NET = """\
name: Small
input: 3x16x12
parameters: {width: 4}
layers:
  conv: {conv: 2 * width, kernel: 3, padding: 1}
  bn: batch_norm
  relu: {relu, inplace: true}
  down: {conv: 4 * width, kernel: 3, stride: 2}
  pool: {global_avg_pool, keep: false}
  fc: {linear: 5}
"""


@pytest.fixture
def net(folder: Path) -> Path:
    path = folder / "net.yaml"
    path.write_text(NET)
    return path


# ---- limits ---------------------------------------------------------------------------------------


@given(st.integers(0, 2**80), st.integers(0, 2**80))
def test_over_iff_more_is_used_than_the_limit(used: int, most: int) -> None:
    use = Use(Limit("macs", Amount(most, "", 1)), used)
    assert use.over == (used > most)
    assert (use.share is None) == (most == 0)


@given(st.floats(1e-12, 1e3), st.integers(0, 10**15))
def test_times_are_over_in_the_same_way(used: float, nanoseconds: int) -> None:
    most = Fraction(nanoseconds, 10**9)
    assert Use(Limit("time", Amount(most, "ns", Fraction(1, 10**9)), "t4"), used).over == (Fraction(used) > most)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([name for name in QUANTITIES if name != "time"]), st.integers(-1, 1), st.integers(1, 5))
def test_the_figures_are_those_of_the_report(name: str, more: int, batch: int) -> None:
    report = cnncost.analyze("lenet5", batch=batch)
    figures = {**report.totals, "training_peak_bytes": report.training_peak_bytes}
    figure = figures[TOTALS[name]]
    check = cnncost.budget("lenet5", {name: figure + more}, batch=batch)
    ((use,),) = (network.uses for network in check)
    assert (use.used, use.limit.most) == (figure, figure + more)
    assert use.over == (more < 0) == (not check.holds)


def test_least_times_are_those_of_the_roofline() -> None:
    seconds = cnncost.roofline("resnet18", "t4", batch=8, dtype="fp16").total.seconds
    check = cnncost.budget("resnet18", {"time": {"T4": "1ms", "rtx-4090": "1s"}}, batch=8, dtype="fp16")
    (network,) = check
    assert network.seconds["t4"] == network.uses[0].used == seconds
    assert [use.over for use in network.uses] == [seconds > 1e-3, False]
    assert list(network.seconds) == ["t4", "rtx-4090"]


def test_it_holds_where_all_networks_do(net: Path) -> None:
    assert cnncost.budget([net, "alexnet"], {"params": "1G"}).holds
    check = cnncost.budget([net, "alexnet"], {"params": "1M"})
    assert [network.holds for network in check] == [True, False]
    assert not check.holds
    assert repr(check) == "<BudgetCheck of net, alexnet: over budget>"
    assert "over budget: 1 of 2 limits" in str(check)


# ---- amounts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parse", "text", "value", "unit"),
    [
        (parse_count, "600M", 600 * 10**6, "M"),
        (parse_count, "4.1 G", 4_100_000_000, "G"),
        (parse_count, "25,557,032", 25_557_032, ""),
        (parse_count, 0, 0, ""),
        (parse_count, "1.5k", 1500, "K"),
        (parse_bytes, "100MB", 10**8, "MB"),
        (parse_bytes, "1.5 mib", 3 * 2**19, "MiB"),
        (parse_bytes, "7b", 7, "B"),
        (parse_bytes, 7, 7, "B"),
        (parse_time, "5ms", Fraction(5, 1000), "ms"),
        (parse_time, "250 us", Fraction(1, 4000), "µs"),
        (parse_time, "250μs", Fraction(1, 4000), "µs"),
        (parse_time, "250µs", Fraction(1, 4000), "µs"),
        (parse_time, "1.25s", Fraction(5, 4), "s"),
        (parse_time, "10ns", Fraction(1, 10**8), "ns"),
    ],
)
def test_amounts_as_people_write_them(parse: Any, text: object, value: Any, unit: str) -> None:
    found = parse(text)
    assert (found.value, found.unit) == (value, unit)


@pytest.mark.parametrize(
    "text", ["", "M", "-1M", "1.5", "600MB", "6e8", "600 MACs", True, None, 1.5, "0.0001K", "1.2.3M"]
)
def test_what_is_no_count(text: object) -> None:
    with pytest.raises(cnncost.UsageError, match="is no whole count"):
        parse_count(text)


@pytest.mark.parametrize("text", ["", "5", 5, "5M", "5m", "ms", "-5ms", "5 minutes", True, None, 0.005])
def test_what_is_no_time(text: object) -> None:
    with pytest.raises(cnncost.UsageError, match="is no time"):
        parse_time(text)


@given(st.integers(0, 10**12), st.sampled_from(["", "K", "M", "G"]))
def test_counts_are_exact(number: int, unit: str) -> None:
    worth = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}[unit]
    assert parse_count(f"{number}{unit}") == (number * worth, unit, worth)
    assert parse_count(f"{number:,}{unit}").value == number * worth


@pytest.mark.parametrize(
    ("text", "value"), [("2%", Fraction(1, 50)), ("0.5 %", Fraction(1, 200)), (0, 0), (0.02, Fraction(1, 50)), (1, 1)]
)
def test_growth_as_people_write_it(text: object, value: Any) -> None:
    assert parse_growth(text) == value


@pytest.mark.parametrize("text", ["2", "", "-2%", -1, True, None, float("nan"), float("inf")])
def test_what_is_no_growth(text: object) -> None:
    with pytest.raises(cnncost.UsageError, match="is no percentage"):
        parse_growth(text)


# ---- where budgets come from ----------------------------------------------------------------------


def test_of_a_spec(net: Path) -> None:
    net.write_text(
        NET + "budget: [{macs: 1K, time: {t4: 5ms}}, {params: 1M, batch: 4, dtype: fp16, set: {width: 8}}]\n"
    )
    first, second = cnncost.budget(net)
    assert [(use.quantity, use.over) for use in first.uses] == [("macs", True), ("time", False)]
    assert (first.report.batch, first.report.dtype) == (1, "fp32")
    assert (second.report.batch, second.report.dtype, second.set) == (4, "fp16", {"width": 8})
    assert second.report.total == cnncost.analyze(net, batch=4, set={"width": 8}).total


def test_an_extending_spec_has_its_own(net: Path, folder: Path) -> None:
    net.write_text(NET + "budget: {macs: 1K}\n")
    (folder / "wide.yaml").write_text("extends: net\nparameters: {width: 8}\n")
    with pytest.raises(cnncost.UsageError, match="no limit"):
        cnncost.budget("wide.yaml")
    (folder / "wide.yaml").write_text("extends: net\nparameters: {width: 8}\nbudget: {params: 1G}\n")
    assert [use.quantity for use in cnncost.budget("wide.yaml").networks[0].uses] == ["params"]


def test_options_take_the_place_of_limits_and_sizes(net: Path) -> None:
    net.write_text(NET + "budget: [{macs: 1K, time: {T4: 1ns}}, {macs: 2K, params: 2K, batch: 4}]\n")
    check = cnncost.budget(net, {"macs": "1G", "layers": 9, "time": {"t4": "1s"}}, batch=2)
    first, second = check
    assert [(use.quantity, use.limit.most) for use in first.uses] == [("macs", 10**9), ("time", 1), ("layers", 9)]
    assert [(use.quantity, use.limit.most) for use in second.uses] == [("params", 2000), ("macs", 10**9)]
    assert first.report.batch == second.report.batch == 2
    assert check.holds


KEYS = [("macs", None), ("params", None), ("time", "t4"), ("time", "rtx-4090")]


@given(
    st.lists(st.lists(st.sampled_from(KEYS), unique=True, min_size=1), max_size=3),
    st.lists(st.sampled_from(KEYS), unique=True),
)
def test_what_is_given_is_stronger_and_nothing_is_lost(before: list[Any], given_: list[Any]) -> None:
    def made(keys: list[Any], amount: int) -> tuple[Limit, ...]:
        return tuple(limit(name, f"{amount}{'' if device is None else 's'}", device) for name, device in keys)

    budgets = tuple(Budget(made(keys, 1), batch=n) for n, keys in enumerate(before, 1))
    found = overridden(budgets, Budget(made(given_, 2), dtype="fp16"))
    mine = set(made(given_, 2))
    assert len(found) == max(1, len(budgets))
    assert {one.key for each in found for one in each.limits} == {
        one.key for each in (*budgets, Budget(tuple(mine))) for one in each.limits
    }
    for n, each in enumerate(found, 1):
        assert each.dtype == "fp16"
        assert each.batch == (n if budgets else None)
        assert all((one in mine) == (one.key in {m.key for m in mine}) for one in each.limits)


def test_a_file_of_budgets(net: Path, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "other.yaml").write_text(NET.replace("Small", "Other") + "budget: {layers: 2}\n")
    (folder / "sub" / "own.yaml").write_text(NET + "budget: {layers: 3, dtype: fp32}\n")
    lines = "defaults: {dtype: fp16, params: 1G}\n../net.yaml: {macs: 1K}\noth*: {macs: 2K}\n" \
        "other.yaml: {macs: 3K, params: 1K}\nresnet1?: [{macs: 2G}, {batch: 2}]\n"  # fmt: skip
    (folder / "sub" / "budgets.yaml").write_text(lines)
    found = [
        (
            network.named,
            network.report.batch,
            network.report.dtype,
            {use.quantity: use.limit.most for use in network.uses},
        )
        for network in cnncost.budget(file="sub/budgets.yaml")
    ]
    billion = {"params": 10**9}
    assert found == [
        ("net", 1, "fp16", {**billion, "macs": 1000}),
        ("other", 1, "fp16", {"params": 1000, "macs": 3000}),  # the last line for it
        ("resnet18", 1, "fp16", {**billion, "macs": 2 * 10**9}),
        ("resnet18", 2, "fp16", billion),
    ]
    own = cnncost.budget(["sub/own.yaml", "alexnet"], file="sub/budgets.yaml")
    assert [{use.quantity: use.limit.most for use in network.uses} for network in own] == [
        {**billion, "layers": 3},
        billion,
    ]
    assert [network.report.dtype for network in own] == ["fp32", "fp16"]


def test_a_sheet_is_looked_for_beside_the_file(net: Path, folder: Path) -> None:
    from cnncost.devices import folder as sheets

    (folder / "sub" / "gpus").mkdir(parents=True)
    (folder / "sub" / "gpus" / "mine.yaml").write_text(Path(sheets(), "t4.yaml").read_text())
    (folder / "sub" / "net.yaml").write_text(NET + "budget: {time: {gpus/mine.yaml: 1s, t4: 1s}}\n")
    (network,) = cnncost.budget("sub/net.yaml")
    mine, known = network.uses
    assert mine.used == known.used
    with pytest.raises(cnncost.UsageError, match=r"gpus/mine\.yaml"):
        cnncost.budget(net, {"time": {"gpus/mine.yaml": "1s"}})


def test_graphs_have_no_budget_of_their_own(net: Path) -> None:
    net.write_text(NET + "budget: {macs: 1K}\n")
    graph = cnncost.load(net, batch=3)
    with pytest.raises(cnncost.UsageError, match="no limit to hold it against"):
        cnncost.budget(graph)
    (network,) = cnncost.budget([graph], {"macs": 10**9})
    assert (network.report.batch, network.holds) == (3, True)


def test_files_of_one_name_are_told_apart(net: Path, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "net.yaml").write_text(NET)
    check = cnncost.budget(["net.yaml", "sub/net.yaml"], {"macs": "1G"})
    assert [network.named for network in check] == ["net.yaml", "sub/net.yaml"]


# ---- growth ---------------------------------------------------------------------------------------


@given(st.integers(0, 2**70), st.integers(0, 2**70), st.fractions(0, 3))
def test_growth_is_too_much_iff_it_is_more_than_allowed(before: int, now: int, allowed: Fraction) -> None:
    growth = Growth("macs", before, now, allowed)
    assert growth.over == (now - before > before * allowed)
    assert (growth.part is None) == (before == 0)


def saved(check_or_report: Any, folder: Path, name: str = "before.json") -> Path:
    (folder / name).write_text(check_or_report.to_json())
    return folder / name


@pytest.mark.parametrize("report", [True, False])
def test_against_itself_nothing_grew(net: Path, folder: Path, report: bool) -> None:
    time = {"time": {"t4": "1s"}}
    before = saved(cnncost.analyze(net) if report else cnncost.budget(net, time), folder)
    check = cnncost.budget(net, time, baseline=before)
    (network,) = check
    assert [one.quantity for one in network.growths] == [*GROWING, *(() if report else ("time",))]
    assert all(one.part == 0 and one.now == one.before and not one.over for one in network.growths)
    assert check.holds
    assert network.grown == ()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.sampled_from([0, "5%", "100%"]))
def test_growth_of_a_network(tmp_path_factory: pytest.TempPathFactory, before: int, now: int, allowed: object) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "net.yaml"
    path.write_text(NET)
    old = cnncost.analyze(path, set={"width": before})
    check = cnncost.budget(path, baseline=saved(old, folder), growth=allowed, set={"width": now})
    (network,) = check
    new = network.report
    most = 1 + parse_growth(allowed)
    for one in network.growths:
        figures = [{**r.totals, "training_peak_bytes": r.training_peak_bytes}[TOTALS[one.quantity]] for r in (old, new)]
        assert [one.before, one.now] == figures
        assert one.over == (figures[1] > most * figures[0])
    assert check.holds == (not any(one.over for one in network.growths))
    assert bool(network.grown) == (not check.holds)
    for pair in network.grown:
        assert any(pair.difference(name) > 0 for name in BY_LAYER)


def test_the_layers_that_grew_most_come_first(net: Path, folder: Path) -> None:
    before = saved(cnncost.analyze(net), folder)
    text = NET.replace("{linear: 5}", "{linear: 6}").replace(
        "down: {conv: 4 * width", "more: relu\n  down: {conv: 4 * width + 1"
    )
    net.write_text(text)
    (network,) = cnncost.budget(net, baseline=before)
    by_name = {pair.b.name: pair for pair in network.grown if pair.b is not None}
    assert next(iter(by_name)) == "more"
    assert set(by_name) == {"more", "down", "pool", "fc"}
    assert by_name["more"].a is None
    assert by_name["fc"].difference("params") == 6 * 17 + 6 - (5 * 16 + 5)
    parts = [
        max(int(pair.difference(name)) * (4 if name == "activations" else 1) / network.past.totals[TOTALS[name]]
            for name in BY_LAYER)
        for pair in network.grown
    ]  # fmt: skip
    assert parts == sorted(parts, reverse=True)


def test_only_layers_of_what_grew_are_named(net: Path, folder: Path) -> None:
    """Two weights more in place of work elsewhere: params grew, MACs did not."""
    net.write_text(NET.replace("fc: {linear: 5}", "fc: {linear: 5, bias: false}"))
    before = saved(cnncost.analyze(net), folder)
    net.write_text(
        NET.replace("down: {conv: 4 * width, kernel: 3, stride: 2}", "down: {conv: 4 * width, kernel: 3, stride: 3}")
    )
    (network,) = cnncost.budget(net, baseline=before)
    over = {one.quantity for one in network.growths if one.over}
    assert "params" in over
    assert "macs" not in over
    assert [pair.b.name for pair in network.grown] == ["fc"]


def test_layers_read_back_are_those_that_were_written(folder: Path) -> None:
    from cnncost.analysis.align import pairs_of
    from cnncost.analysis.baseline import read_baseline

    for name in ("googlenet", "mobilenet_v2", "unet"):
        report = cnncost.analyze(name, batch=2, dtype="fp16")
        (past,) = read_baseline(saved(report, folder)).networks
        assert [pair.change for pair in pairs_of(past.layers, report.layers)] == ["equal"] * len(report.layers)
        assert past.totals == {**{k: report.totals[k] for k in past.totals if k in report.totals},
                               "training_peak_bytes": report.training_peak_bytes}  # fmt: skip


def test_a_folded_report_is_a_baseline_without_layers(folder: Path, run: Any) -> None:
    for option in (("--by", "block"), ("--by", "op"), ("--top", "3"), ("--sort", "macs")):
        run("report", "resnet18", *option, "--format", "json", "-o", "before.json", "--force")
        (network,) = cnncost.budget("resnet18", baseline="before.json", set={"classes": 1001})
        assert not network.holds
        assert network.grown == ()
        note = "No layers of resnet18 can be named for its growth: before.json has them folded or sorted."
        assert note in run("budget", "resnet18", "--baseline", "before.json", "--set", "classes=1001").out


def test_where_no_layer_grew_by_itself_none_is_named(net: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is alive at once depends on what takes what, too; and there may be too many layers to pair."""
    text = "input: 8x16x16\nlayers: {a: {conv: 8}, b: {conv: 32}, c: {conv: 32}, d: {conv: 8}, e: {add: [d, input]}}\n"
    net.write_text(text)
    before = saved(cnncost.analyze(net), folder)
    net.write_text(text.replace("[d, input]", "[d, a]"))
    check = cnncost.budget(net, baseline=before)
    assert "peak" in [one.quantity for one in check.networks[0].growths if one.over]
    assert check.networks[0].grown == ()
    assert "No layers of net can be named for its growth.\n" in str(check)
    monkeypatch.setattr("cnncost.analysis.align.CELLS_AT_MOST", 1)
    net.write_text(text.replace("conv: 32", "conv: 33"))
    assert cnncost.budget(net, baseline=before).networks[0].grown == ()


def test_of_several_in_a_baseline_the_right_one_is_taken(net: Path, folder: Path) -> None:
    net.write_text(
        NET + "budget: [{macs: 1G}, {macs: 1G, batch: 4}, {macs: 1G, input: 3x20x20}, {macs: 1G, set: {width: 6}}]\n"
    )
    first = cnncost.budget([net, "alexnet"], {"layers": 99})
    again = cnncost.budget([net, "alexnet"], baseline=saved(first, folder))
    assert len(again) == 5
    for network in again:
        assert [one.part for one in network.growths] == [0] * len(GROWING), network


def test_a_network_that_is_not_in_the_baseline_is_named(net: Path, folder: Path) -> None:
    before = saved(cnncost.budget(net, {"macs": "1G"}), folder)
    check = cnncost.budget([net, "alexnet"], baseline=before)
    assert [network.past is None for network in check] == [False, True]
    assert check.holds
    assert "alexnet is not in " in str(check)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_baseline_that_was_changed_by_hand_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "net.yaml"
    path.write_text(NET)
    record = json.loads(cnncost.budget(path, {"time": {"t4": "1s"}}).to_json())
    at: Any = record
    while True:
        keys = list(at) if isinstance(at, dict) else range(len(at))
        key = data.draw(st.sampled_from(keys))
        if not (isinstance(at[key], (dict, list)) and at[key]) or data.draw(st.integers(0, 3)) == 0:
            break
        at = at[key]
    some = [None, True, -1, 0, 10**400, 1.5, "", "t4", [], [[]], {}, {"macs": {}}]
    if data.draw(st.booleans()):
        at[key] = data.draw(st.sampled_from(some))
    else:
        del at[key]
    (folder / "before.json").write_text(json.dumps(record))
    try:
        check = cnncost.budget(path, {"time": {"t4": "1s"}}, baseline=folder / "before.json")
    except cnncost.UsageError as e:
        assert str(e).startswith(str(folder)) or "before.json" in str(e)
    else:
        assert str(check)
        assert json.loads(check.to_json())


def test_a_moved_file_is_the_same_network(net: Path, folder: Path) -> None:
    before = saved(cnncost.budget(net, {"macs": "1G"}), folder)
    (folder / "sub").mkdir()
    net.rename(folder / "sub" / "net.yaml")
    assert cnncost.budget("sub/net.yaml", baseline=before).networks[0].past is not None


def test_where_it_cannot_be_trained_that_is_no_growth(net: Path, folder: Path) -> None:
    before = saved(cnncost.analyze(net, dtype="int8"), folder)
    (network,) = cnncost.budget(net, baseline=before, dtype="int8")
    assert [one.quantity for one in network.growths] == [name for name in GROWING if name != "training_peak"]


# ---- the budget as data ---------------------------------------------------------------------------


def test_every_quantity_and_size_is_told() -> None:
    assert set(TOTALS) | {"time"} == set(QUANTITIES)
    assert all(quantity.parse(quantity.example, name).value > 0 for name, quantity in QUANTITIES.items())
    assert set(SIZES) == {"batch", "dtype", "input", "set"}


def test_limits_from_programs() -> None:
    made = budget_of({"macs": 5, "time": {"t4": "5ms", "h100": "1ms"}}, batch=3)
    assert [one.key for one in made.limits] == [("macs", ""), ("time", "t4"), ("time", "h100")]
    assert made.batch == 3


def test_json_has_the_whole_report(net: Path) -> None:
    record = json.loads(cnncost.budget(net, {"macs": "1K"}).to_json())
    (network,) = record["networks"]
    report = json.loads(cnncost.analyze(net).to_json())
    assert network["totals"] == report["totals"]
    assert [layer["name"] for layer in network["layers"]] == [layer["name"] for layer in report["layers"]]
    assert record["holds"] is network["holds"] is False

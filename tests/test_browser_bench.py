"""The page of timings in a real browser: bars and tables follow each other, settings and axes can be chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import made_up
import pytest
from browser import opened, running
from pages import HOSTILE

import cnncost
from cnncost.analysis.bench import tables
from cnncost.analysis.measurements import Setting, together
from cnncost.cli.op_options import expanded
from cnncost.devices import load
from cnncost.output.page.bench import ROWS_AT_FIRST, BenchPage, bench_page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running() as found:
        yield found


def written(
    folder: Path, graphs: Sequence[Any], settings: Sequence[Setting] = (made_up.SETTING,), single: bool = False
) -> Path:
    """A page of made-up timings."""
    (folder / "abacus.yaml").write_text(made_up.SHEET)
    lines = [line for setting in settings for line in made_up.records(graphs, setting, whole=not single)]
    lines[1]["doubts"] = ["noisy"]
    found = tables(graphs, settings, together(lines), load(str(folder / "abacus.yaml")), single)
    path = folder / "page.html"
    path.write_text(bench_page(BenchPage(found, graphs, {"processor": HOSTILE})), encoding="utf-8")
    return path


def bars(shown: Any, chart: str) -> int:
    found: int = shown.locator(f"{chart} svg g[aria-label='bar'] rect").count()
    return found


@pytest.mark.parametrize("system", ["light", "dark"])
def test_every_layer_is_a_bar_and_a_row(browser: Any, tmp_path: Path, system: str) -> None:
    path = written(tmp_path, [cnncost.load("alexnet")])
    with opened(browser, path, color_scheme=system) as shown:
        rows = shown.locator(".bench-table tbody tr").count()
        assert rows == bars(shown, "#times-chart") == bars(shown, "#roofline-chart") > 10
        assert bars(shown, "#whole-chart") >= 6, "kinds of layers, and the whole"
        assert "noisy" in shown.locator("#times-chart").inner_text()
        assert HOSTILE in shown.locator("#machine").inner_text()


def test_a_layer_that_is_chosen_shows_everywhere(browser: Any, tmp_path: Path) -> None:
    with opened(browser, written(tmp_path, [cnncost.load("alexnet")])) as shown:
        shown.locator(".bench-table tbody tr", has=shown.locator("th:text-is('fc6')")).click()
        marked = "g[aria-label='bar'] rect[fill='var(--accent)']"
        assert shown.locator(f"#times-chart {marked}").count() == 1
        assert shown.locator(f"#roofline-chart {marked}").count() == 1
        pane = shown.locator("#chosen-layer")
        assert pane.locator("h2").inner_text().startswith("fc6")
        assert "of the roofline" in pane.inner_text()
        shown.keyboard.press("Escape")
        assert shown.locator(".chosen").count() == shown.locator(marked).count() == 0
        first = shown.locator("#times-chart g[aria-label='bar'] rect").first
        first.scroll_into_view_if_needed()
        bar = first.bounding_box()
        shown.mouse.move(bar["x"] + 2, bar["y"] + bar["height"] / 2 + 1)
        shown.mouse.move(bar["x"] + 2, bar["y"] + bar["height"] / 2)
        shown.mouse.down()
        shown.mouse.up()
        assert shown.locator("tr.chosen th").all_inner_texts() == ["conv1"]


def test_of_many_layers_those_that_take_longest_are_bars_until_all_are_asked_for(browser: Any, tmp_path: Path) -> None:
    graph = cnncost.load("densenet121")
    (table,) = tables([graph], [made_up.SETTING], together(made_up.records([graph])))
    longest = sorted(table.rows, key=lambda row: -row.seconds)[:ROWS_AT_FIRST]
    kept = [row for row in table.rows if row in longest]
    with opened(browser, written(tmp_path, [graph])) as shown:
        labels = shown.locator("#times-chart svg g[aria-label='y-axis tick label'] text").all_text_contents()
        assert [label.split(" ×")[0] for label in labels] == [row.names[0] for row in kept]
        assert f"{ROWS_AT_FIRST} of {len(table.rows)}" in shown.locator("#layers-note").inner_text()
        shown.check("#every")
        assert bars(shown, "#times-chart") == len(table.rows) == shown.locator(".bench-table tbody tr").count()
        assert shown.locator("#layers-note").inner_text() == ""


def test_headings_sort(browser: Any, tmp_path: Path) -> None:
    graph = cnncost.load("alexnet")
    (table,) = tables([graph], [made_up.SETTING], together(made_up.records([graph])))
    slowest = [row.names[0] for row in sorted(table.rows, key=lambda row: -row.timing.median)]  # type: ignore[union-attr]
    with opened(browser, written(tmp_path, [graph])) as shown:
        shown.locator(".bench-table thead th", has_text="time").last.click()
        assert shown.locator(".bench-table tbody th").all_inner_texts() == slowest


def test_bars_are_as_long_as_all_layers_alike_take(browser: Any, tmp_path: Path) -> None:
    graph = cnncost.load("resnet18")
    (table,) = tables([graph], [made_up.SETTING], together(made_up.records([graph])))
    most = max(row.seconds for row in table.rows)
    assert len({row.instances for row in table.rows}) > 2
    with opened(browser, written(tmp_path, [graph])) as shown:
        widths = shown.eval_on_selector_all(
            "#times-chart g[aria-label='bar'] rect", "all => all.map(bar => Number(bar.getAttribute('width')))"
        )
        assert len(widths) == len(table.rows)
        parts = [width / max(widths) for width in widths]
        assert parts == pytest.approx([row.seconds / most for row in table.rows], abs=1e-3)


def test_a_setting_can_be_chosen(browser: Any, tmp_path: Path) -> None:
    graphs = [cnncost.load("alexnet", batch=batch) for batch in (1, 4)]
    with opened(browser, written(tmp_path, graphs)) as shown:
        assert shown.locator("#setting option").all_inner_texts() == ["batch 1", "batch 4"]
        assert bars(shown, "#settings-chart") == 2
        before = shown.locator("#times-chart").inner_text()
        shown.select_option("#setting", "1")
        assert shown.locator("#times-chart").inner_text() != before
        assert shown.locator(".timed:visible h2").all_inner_texts() == ["batch 4"]


def test_a_study_has_a_line_for_all_that_varies_beside_its_axis(browser: Any, tmp_path: Path) -> None:
    words = ("16:64:16", "--kernel", "1,3")
    graphs = [graph for batch in (1, 2) for graph in expanded("conv", words, ("8x9x9",), batch)]
    nhwc = Setting(made_up.SETTING.device, layout="nhwc", threads=2)
    with opened(browser, written(tmp_path, graphs, (made_up.SETTING, nhwc), single=True)) as shown:
        assert shown.locator("#over option").all_inner_texts() == ["out", "kernel", "batch"]
        lines = "#study-chart svg g[aria-label='line'] path"
        assert shown.locator(lines).count() == 2 * 2 * 2, "layouts, kernels, batches"
        assert "nhwc, kernel 3, batch 2" in shown.locator("#study-chart").inner_text()
        shown.select_option("#over", "batch")
        assert shown.locator(lines).count() == 2 * 2 * 4
        for amount, label in (("flops", "TFLOP/s"), ("bytes", "GB/s"), ("efficiency", "% of the roofline")):
            shown.select_option("#amount", amount)
            assert label in shown.locator("#study-chart").inner_text()
        shown.check("#over-log")
        shown.check("#amount-log")
        shown.locator(".bench-table:visible tbody tr").nth(3).click()
        assert shown.locator("#study-chart g[stroke-width='3'] circle").count() == 1
        assert "conv 3x3" in shown.locator("#chosen-layer").inner_text()


def test_sides_of_inputs_are_axes_and_rates_are_in_their_unit(browser: Any, tmp_path: Path) -> None:
    inputs = ("8x9x9", "8x9x18", "8x18x18")
    graphs = [graph for each in inputs for graph in expanded("conv", ("16", "--kernel", "3"), (each,), 1)]
    lines = together(made_up.records(graphs, whole=False))
    (table,) = tables(graphs, [made_up.SETTING], lines, single=True)
    with opened(browser, written(tmp_path, graphs, single=True)) as shown:
        names = shown.locator("#over option").all_inner_texts()
        assert set(names) == {"input height", "input width"}
        shown.select_option("#over", "input width")
        shown.select_option("#amount", "flops")
        ticks = shown.locator("#study-chart g[aria-label='y-axis tick label'] text").all_text_contents()
        fastest = max(row.flops_per_second for row in table.rows if row.flops_per_second) / 10**12
        assert fastest / 2 < max(map(float, ticks)) < 2 * fastest


def test_a_study_without_an_axis_says_so(browser: Any, tmp_path: Path) -> None:
    graphs = expanded("linear", ("16",), ("8",), 1) + expanded("linear", ("16",), ("9",), 1)
    with opened(browser, written(tmp_path, graphs[:2], single=True)) as shown:
        assert shown.locator("#over option").all_inner_texts() == ["input size 1"]
        assert shown.locator("#study-chart svg").count() >= 1


@pytest.mark.parametrize("name", ["alexnet", "resnet50"])
def test_it_fits_a_phone(browser: Any, tmp_path: Path, name: str) -> None:
    path = written(tmp_path, [cnncost.load(name)])
    with opened(browser, path, viewport={"width": 375, "height": 800}) as shown:
        assert shown.evaluate("document.scrollingElement.scrollWidth") <= 375
        assert shown.locator("#times-chart svg").first.is_visible()

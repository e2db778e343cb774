"""The page of several networks in a real browser: it opens quietly, and map and table follow each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from browser import opened, running
from pages import HOSTILE

import cnncost
from cnncost.output.page.compare import Zoo, compare_page
from cnncost.output.page.layers import layers_page

SOME = ("alexnet", "vgg16", "resnet50", "googlenet", "mobilenet_v2", "autoencoder_784", "lenet5")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@cache
def compared(*names: str) -> Any:
    return cnncost.compare(names, training=True, devices=["rtx-4090"])


def written(folder: Path, *names: str) -> Path:
    path = folder / f"{len(names)}-{Path(names[0]).stem}.html"
    if not path.exists():
        comparison = compared(*names)
        path.write_text(compare_page(Zoo(comparison, comparison.networks)), encoding="utf-8")
    return path


def names_in_table(shown: Any, which: str = ":not([hidden])") -> list[str]:
    rows = f"#network-table tbody tr{which}"
    found: list[str] = shown.eval_on_selector_all(rows, "rows => rows.map(row => row.cells[0].textContent)")
    return found


def front_of(networks: Any, x: str, y: str) -> set[str]:
    """Names of networks that no other is as good as in both and better than in one, by the definition."""
    points = [(row["name"], row[x], row[y]) for row in networks if row[x] is not None and row[y] is not None]
    return {
        name
        for name, a, b in points
        if not any(c <= a and d <= b and (c < a or d < b) for _, c, d in points)
    }  # fmt: skip


def on_imagenet(row: Any) -> bool:
    return row.error_rate is not None and row.error_rate.dataset == "ILSVRC-2012 validation"


@pytest.mark.parametrize(
    ("x", "y", "errors"),
    [("macs", "top5_error", True), ("params", "top1_error", True), ("peak_bytes", "macs", False)],
)
def test_the_front_is_marked_in_the_table(browser: Any, folder: Path, x: str, y: str, errors: bool) -> None:
    comparison = compared("all")
    known = [
        row for row, network in zip(comparison.rows(), comparison.networks) if not errors or on_imagenet(network)
    ]  # fmt: skip
    with opened(browser, written(folder, "all")) as shown:
        shown.select_option("#x", x)
        shown.select_option("#y", y)
        assert set(names_in_table(shown, ".front")) == front_of(known, x, y)
        assert shown.locator("#chosen .listed tbody tr").count() == len(front_of(known, x, y)) > 0


def test_networks_that_are_not_on_the_map_are_counted(browser: Any, folder: Path) -> None:
    without = [row.name for row in compared(*SOME).networks if row.error_rate is None]
    assert without == ["autoencoder_784"]
    with opened(browser, written(folder, *SOME)) as shown:
        text = shown.locator("#missing").inner_text()
        assert text.startswith(f"Not on the map: 2 of {len(SOME)} networks: ")
        shown.click("#missing summary")
        assert "autoencoder_784" in shown.locator("#missing").inner_text()
        circles = "#map-chart svg g[aria-label='dot'] >> nth=0 >> circle"
        assert shown.locator(circles).count() == len(SOME) - 2
        shown.select_option("#tested", "")
        shown.select_option("#y", "top1_error")
        told = [row.name for row in compared(*SOME).networks if row.error_rate and row.error_rate.top1 is not None]
        assert "lenet5" in told, "its error is of other images"
        assert shown.locator(circles).count() == len(told)
        assert "not comparable" in shown.locator("#front-note").inner_text()
        shown.select_option("#y", "year")
        assert shown.locator("#missing").inner_text() == f"All {len(SOME)} networks are on the map."
        assert shown.locator("#front-note").inner_text().startswith("No front is drawn")
        assert names_in_table(shown, ".front") == []


def test_a_click_on_the_map_or_in_the_table_chooses_in_both(browser: Any, folder: Path) -> None:
    with opened(browser, written(folder, *SOME)) as shown:
        shown.locator("#network-table tbody tr", has=shown.locator("th:text-is('vgg16')")).click()
        pane = shown.locator("#chosen")
        assert pane.locator("h2").inner_text().startswith("VGG-16")
        network = compared(*SOME)["vgg16"]
        assert network.error_rate.source in pane.inner_text()
        assert "cnncost report vgg16" in pane.inner_text()
        assert names_in_table(shown, ".chosen") == ["vgg16"]
        ring = shown.locator("#map-chart svg g[aria-label='dot'][stroke-width='3'] circle")
        assert ring.count() == 1
        pane.locator(".close").click()
        assert names_in_table(shown, ".chosen") == []
        circles = shown.locator("#map-chart svg g[aria-label='dot']").first.locator("circle")
        largest = circles.first.bounding_box()
        shown.mouse.move(largest["x"] + largest["width"] / 2, largest["y"] + largest["height"] / 2)
        shown.mouse.down()
        shown.mouse.up()
        assert names_in_table(shown, ".chosen") == ["vgg16"], "it has most parameters"
        shown.keyboard.press("Escape")
        assert names_in_table(shown, ".chosen") == []


def test_areas_are_as_large_as_the_amounts(browser: Any, folder: Path) -> None:
    rows = {row["name"]: row["params"] for row in compared("alexnet", "vgg16", "resnet50").rows()}
    with opened(browser, written(folder, "alexnet", "vgg16", "resnet50")) as shown:
        radii = (
            shown.locator("#map-chart svg g[aria-label='dot']")
            .first.locator("circle")
            .evaluate_all("all => all.map(circle => Number(circle.getAttribute('r')))")
        )
        parts = [radius**2 / radii[0] ** 2 for radius in radii]
        wanted = sorted(rows.values(), reverse=True)
        assert parts == pytest.approx([value / wanted[0] for value in wanted])


def test_headings_sort_and_more_columns_can_be_shown(browser: Any, folder: Path) -> None:
    wanted = sorted(compared("all").networks, key=lambda row: -row.cost.macs)
    with opened(browser, written(folder, "all")) as shown:
        shown.locator("#network-table thead th", has_text="MACs").first.click()
        shown_macs = [compared("all")[name].cost.macs for name in names_in_table(shown)]
        assert shown_macs == [row.cost.macs for row in wanted]
        heading = shown.locator("#network-table thead th", has_text="weights")
        assert not heading.first.is_visible()
        shown.check("#all")
        assert heading.first.is_visible()


def test_the_search_cuts_the_table_and_dims_the_map(browser: Any, folder: Path) -> None:
    with opened(browser, written(folder, "all")) as shown:
        shown.keyboard.press("/")
        shown.keyboard.type("vgg norm")
        found = names_in_table(shown)
        assert found == [name for name in (row.name for row in compared("all").networks) if name.endswith("_bn")]
        assert shown.locator("#found").inner_text() == f"{len(found)} of {len(compared('all'))} networks"
        labels = shown.locator("#map-chart .labels text").all_text_contents()
        assert labels and all("batch norm" in label for label in labels)


def test_arrow_keys_go_from_row_to_row(browser: Any, folder: Path) -> None:
    focused = "document.activeElement.cells[0].textContent"
    with opened(browser, written(folder, "all")) as shown:
        shown.fill("#search", "vgg")
        known = names_in_table(shown)
        shown.locator("#network-table tbody tr:not([hidden])").first.focus()
        for name in known[1:4]:
            shown.keyboard.press("ArrowDown")
            assert shown.evaluate(focused) == name
        shown.keyboard.press("ArrowUp")
        shown.keyboard.press("Enter")
        assert names_in_table(shown, ".chosen") == [known[2]]


def test_labels_do_not_overlap(browser: Any, folder: Path) -> None:
    with opened(browser, written(folder, "all")) as shown:
        boxes = shown.eval_on_selector_all(
            "#map-chart .labels text", "all => all.map(e => e.getBoundingClientRect().toJSON())"
        )
        assert len(boxes) > 10
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                apart = a["right"] <= b["left"] + 1 or b["right"] <= a["left"] + 1
                assert apart or a["bottom"] <= b["top"] + 3 or b["bottom"] <= a["top"] + 3


@pytest.mark.parametrize("system", ["light", "dark"])
def test_it_fits_a_phone(browser: Any, folder: Path, system: str) -> None:
    context = {"viewport": {"width": 375, "height": 800}, "color_scheme": system}
    with opened(browser, written(folder, "all"), **context) as shown:
        assert shown.evaluate("document.scrollingElement.scrollWidth") <= 375
        shown.select_option("#x", "seconds GeForce RTX 4090")
        assert shown.locator("#map-chart svg").first.is_visible()


def test_texts_from_strangers_are_text(browser: Any, tmp_path: Path) -> None:
    spec = {"name": HOSTILE, "family": HOSTILE, "title": HOSTILE, "input": "3x9x9", "layers": {"c": {"conv": 4}},
            "paper": HOSTILE, "facts": [{"error": 1.5, "dataset": HOSTILE}, {"error": 2.5, "crops": 9}]}  # fmt: skip
    (tmp_path / "net.yaml").write_text(json.dumps(spec))
    with opened(browser, written(tmp_path, str(tmp_path / "net.yaml"))) as shown:
        shown.locator("#network-table tbody tr").click()
        assert HOSTILE in shown.locator("#chosen").inner_text()
        assert shown.locator("img").count() == 0


def test_layer_by_layer(browser: Any, tmp_path: Path) -> None:
    alignment = cnncost.align("resnet50", "resnet50_v1")
    path = tmp_path / "layers.html"
    path.write_text(layers_page(alignment), encoding="utf-8")
    changed = [pair for pair in alignment.pairs if pair.change != "equal"]
    rows = "#pair-table tbody tr:not([hidden])"
    with opened(browser, path) as shown:
        assert shown.locator(rows).count() == len(changed) == 12
        bars = shown.locator("#difference-chart g[aria-label='bar'] rect")
        assert bars.count() == sum(pair.difference("macs") != 0 for pair in changed) == 3
        shown.check("#equal")
        assert shown.locator(rows).count() == len(alignment.pairs)
        shown.fill("#search", "conv4_x.0 conv1.conv")
        assert shown.locator(rows).count() == 1
        shown.locator(rows).click()
        assert shown.locator("#difference-chart rect[fill='var(--accent)']").count() == 1
        shown.select_option("#figure", "params")
        assert shown.locator("#difference-chart").inner_text() == "No layer differs in it."
    with opened(browser, path, viewport={"width": 375, "height": 800}) as shown:
        assert shown.evaluate("document.scrollingElement.scrollWidth") <= 375

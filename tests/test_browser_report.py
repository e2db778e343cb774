"""The page of a network in a real browser: it opens quietly, its numbers are the report's, and everything works."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from browser import opened, running

import cnncost
from cnncost.api.pages import page
from cnncost.devices import names as device_keys
from cnncost.output.units import duration

TIMM = "timm:mobilenetv3_small_100"
NETWORKS = ("alexnet", "googlenet", "resnet152", "densenet201", "unet", TIMM)
HOSTILE = """
name: "<script>alert(1)</script> & \\"x\\" '</title>"
paper: "<i>x</i>"
about: "</script><script>alert(2)</script>"
input: 3x9x11  # <script>alert(3)</script>
layers: {conv: {conv: 4, kernel: 3}}
claims: [{quantity: macs, printed: 1, differs: "<img src=x onerror=alert(4)>", place: "<b>here</b>"}]
"""
NAMES = (
    "<script>alert(3)</script>",
    "a \"'><img src=x onerror=alert(4)>",
    "</script><script>alert(5)</script>",
    "{{ 7 * 7 }}${8}",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@cache
def analyzed(name: str) -> Any:
    return cnncost.analyze(name)


def written(folder: Path, name: str, **options: Any) -> Path:
    path = folder / f"{name.replace(':', '-')}{len(options)}.html"
    if not path.exists():
        path.write_text(page(name, **options), encoding="utf-8")
    return path


def layer_names(report: Any) -> list[str]:
    return [layer.name for layer in report.layers]


def table_column(shown: Any, number: int) -> list[str]:
    return shown.eval_on_selector_all(
        "#layer-table tbody tr:not([hidden])", f"rows => rows.map(row => row.cells[{number}].textContent)"
    )


def drawn(shown: Any) -> list[str]:
    """Ids of the nodes of the graph as it is folded."""
    return shown.eval_on_selector_all("#graph .node", "nodes => nodes.map(node => node.dataset.id)")


def chosen_rows(shown: Any) -> list[str]:
    return shown.eval_on_selector_all("#layer-table tr.chosen", "rows => rows.map(row => row.cells[1].textContent)")


# ---- what stands there -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_numbers_are_those_of_the_json_report(browser: Any, folder: Path, name: str) -> None:
    report = json.loads(analyzed(name).to_json())
    with opened(browser, written(folder, name)) as shown:
        totals = shown.eval_on_selector_all(
            ".total",
            """all => Object.fromEntries(all.map((total) =>
              [total.dataset.total, (total.querySelector("small") ?? total.querySelector("b")).textContent]))""",
        )
        for key, text in totals.items():
            assert text.removesuffix(" bytes") == f"{report['totals'][key]:,}"
        assert set(totals) == {"params", "macs", "flops", "peak_bytes", "weight_bytes", "layers"}
        assert table_column(shown, 1) == [layer["name"] for layer in report["layers"]]
        for number, key in ((4, "params"), (5, "macs"), (7, "activation_bytes"), (8, "peak_bytes")):
            assert table_column(shown, number) == [f"{layer[key]:,}" for layer in report["layers"]]
        assert shown.title().startswith(analyzed(name).name)


@pytest.mark.parametrize("name", NETWORKS)
def test_unfolded_it_shows_every_layer_and_every_tensor(browser: Any, folder: Path, name: str) -> None:
    report = analyzed(name)
    ends = len(report.inputs) + len(report.outputs)
    with opened(browser, written(folder, name)) as shown:
        folded_ = drawn(shown)
        assert 3 < len(folded_) <= 40 or len(folded_) == len(report.layers) + ends
        if name != "alexnet":  # which has no blocks
            shown.click("#unfold")
        assert len(drawn(shown)) == len(report.layers) + ends
        assert shown.locator("#graph .folded").count() == 0
        pairs = {(i, layer.name) for layer in report.layers for i in layer.inputs}
        assert shown.locator("#graph .tensor").count() >= len(pairs)
        assert_apart(shown)
        if name != "alexnet":
            shown.click("#fold")
        assert drawn(shown) == folded_
        assert_apart(shown)


def assert_apart(shown: Any) -> None:
    """No two nodes or blocks of one block overlap, and each is within its block."""
    faults = shown.evaluate(
        """() => {
          const box = (e) => e.querySelector(":scope > .box, :scope > .frame").getBoundingClientRect();
          const faults = [];
          for (const parent of [document.querySelector("#graph svg"), ...document.querySelectorAll("#graph .group")]) {
            const outer = parent.matches(".group") ? box(parent) : null;
            const inside = parent.querySelectorAll(":scope > [data-id], :scope > [role=group] > [data-id]");
            const children = [...inside].map((e) => [e, box(e)]);
            children.sort(([, a], [, b]) => a.top - b.top);
            children.forEach(([e, a], i) => {
              const within = !outer || (a.left >= outer.left && a.right <= outer.right && a.top >= outer.top);
              if (!within || (outer && a.bottom > outer.bottom)) faults.push(`${e.dataset.id} out of its block`);
              for (let j = i + 1; j < children.length && children[j][1].top < a.bottom - 0.5; j++) {
                const b = children[j][1];
                const apart = b.left >= a.right - 0.5 || b.right <= a.left + 0.5;
                if (!apart) faults.push(`${e.dataset.id} over ${children[j][0].dataset.id}`);
              }
            });
          }
          return faults;
        }"""
    )
    assert faults == []


def test_a_published_figure_stands_beside_what_is_derived(browser: Any, folder: Path) -> None:
    verdicts = cnncost.verify("alexnet").verdicts
    with opened(browser, written(folder, "alexnet")) as shown:
        rows = shown.locator("#claims tr.holds, #claims tr.known, #claims tr.fault")
        assert rows.count() == len(verdicts) > 10
        assert "832M" in shown.locator("#claims").inner_text()
        assert "724,406,816" in shown.locator("#claims").inner_text()
    with opened(browser, written(folder, TIMM)) as shown:
        assert shown.locator("#claims").count() == 0
        assert shown.locator("#source").count() == 0


def test_texts_from_strangers_are_text(browser: Any, tmp_path: Path) -> None:
    spec = tmp_path / "hostile.yaml"
    spec.write_text(HOSTILE)
    with opened(browser, written(tmp_path, str(spec))) as shown:
        assert shown.locator("h1").inner_text() == '<script>alert(1)</script> & "x" \'</title>'
        assert shown.locator("#source [data-line]").all_inner_texts() == [line + "\n" for line in HOSTILE.splitlines()]
        assert "<img src=x onerror=alert(4)>" in shown.locator("#claims").inner_text()
        assert shown.locator("img, main b:text-is('here'), main i:text-is('x')").count() == 0


def test_names_of_modules_are_text(browser: Any, tmp_path: Path) -> None:
    import torch

    parts = [torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1), torch.nn.ReLU()]
    model = torch.nn.Sequential(OrderedDict(zip(NAMES, parts)))
    path = tmp_path / "model.html"
    path.write_text(page(model, (1, 3, 9, 11)))
    names = [layer.name for layer in cnncost.analyze(model, (1, 3, 9, 11)).layers]
    assert set(NAMES) <= set(names)
    with opened(browser, path) as shown:
        assert table_column(shown, 1) == names
        for row, name in enumerate(names):
            shown.click(f"#layer-table tbody tr >> nth={row}")
            assert shown.locator("#details h2").inner_text().startswith(name)
        assert shown.locator("img").count() == 0


def test_without_a_script_the_tables_are_whole(browser: Any, folder: Path) -> None:
    window = browser.new_context(java_script_enabled=False)
    shown = window.new_page()
    shown.goto(written(folder, "alexnet").as_uri())
    assert shown.locator("#layer-table tbody tr").count() == len(analyzed("alexnet").layers)
    assert shown.locator("noscript, .warning").first.is_visible()
    window.close()


# ---- what can be done ---------------------------------------------------------------------------


def test_blocks_open_and_fold(browser: Any, folder: Path) -> None:
    with opened(browser, written(folder, "googlenet")) as shown:
        before = drawn(shown)
        block = shown.locator("#graph .node[aria-label^='3a,']")
        assert block.get_attribute("aria-expanded") == "false"
        block.click()
        inside = [name for name in drawn(shown) if name not in before]
        assert len(drawn(shown)) == len(before) - 1 + len(inside) and len(inside) > 3
        group = shown.locator("#graph .group[aria-label^='3a,']")
        assert group.get_attribute("aria-expanded") == "true"
        assert_apart(shown)
        assert "3a" in shown.locator("#details h2").inner_text()
        group.locator("> .handle").click(position={"x": 5, "y": 5})
        assert drawn(shown) == before


def test_keys(browser: Any, folder: Path) -> None:
    with opened(browser, written(folder, "googlenet")) as shown:
        before = drawn(shown)
        shown.focus("#graph")
        shown.keyboard.press("ArrowDown")
        shown.keyboard.press("ArrowDown")
        focused = "document.activeElement.getAttribute('aria-label')"
        assert shown.evaluate(focused).startswith("conv1,")
        shown.keyboard.press("Enter")
        assert len(drawn(shown)) > len(before)
        shown.keyboard.press("ArrowDown")
        assert shown.evaluate(focused).startswith("conv1.conv,")
        shown.keyboard.press("Enter")
        assert chosen_rows(shown) == ["conv1.conv"]
        shown.keyboard.press("Escape")
        assert chosen_rows(shown) == []
        shown.keyboard.press("/")
        shown.keyboard.type("3a.1x1")
        assert table_column(shown, 1) == [name for name in layer_names(analyzed("googlenet")) if "3a.1x1" in name]


@pytest.mark.parametrize(("heading", "value"), [("MACs", "macs"), ("params", "params"), ("alive (B)", "peak_bytes")])
def test_headings_sort(browser: Any, folder: Path, heading: str, value: str) -> None:
    figures = [getattr(layer, value) for layer in analyzed("resnet152").layers]
    with opened(browser, written(folder, "resnet152")) as shown:
        cell = shown.locator("#layer-table thead th", has_text=heading).first
        number = cell.evaluate("cell => cell.cellIndex")
        for wanted, state in ((sorted(figures, reverse=True), "descending"), (sorted(figures), "ascending")):
            cell.click()
            assert table_column(shown, number) == [f"{n:,}" for n in wanted]
            assert cell.get_attribute("aria-sort") == state
        cell.press("Enter")
        assert table_column(shown, number) == [f"{n:,}" for n in sorted(figures, reverse=True)]


def test_the_search_cuts_the_table_and_dims_the_graph(browser: Any, folder: Path) -> None:
    layers = analyzed("googlenet").layers
    wanted = [
        layer.name
        for layer in layers
        if "5x5" in f"{layer.name} {layer.kind}" and "conv" in f"{layer.name} {layer.kind}"
    ]
    assert 0 < len(wanted) < len(layers)
    with opened(browser, written(folder, "googlenet")) as shown:
        shown.fill("#search", "5X5 conv")
        assert table_column(shown, 1) == wanted
        assert shown.locator("#found").inner_text() == f"{len(wanted)} of {len(layers)} layers"
        assert shown.locator("#graph .node[aria-label^='3a,'].dimmed").count() == 0
        assert shown.locator("#graph .node[aria-label^='pool1,'].dimmed").count() == 1
        shown.fill("#search", "nothing like this")
        assert table_column(shown, 1) == []
        shown.fill("#search", "")
        assert len(table_column(shown, 1)) == len(layers)
        assert shown.locator("#graph .dimmed").count() == 0


def test_a_layer_that_is_chosen_shows_everywhere(browser: Any, folder: Path) -> None:
    name = "3a.3x3.conv"
    explained = json.loads(cnncost.explain("googlenet", name).to_json())["layers"][0]
    with opened(browser, written(folder, "googlenet")) as shown:
        shown.click(f"#layer-table tbody tr >> nth={layer_names(analyzed('googlenet')).index(name)}")
        node = shown.locator("#graph .node.chosen")
        assert node.count() == 1 and node.get_attribute("aria-label").startswith(f"{name},")
        assert chosen_rows(shown) == [name]
        details = shown.locator("#details")
        assert details.locator("h2").inner_text().startswith(name)
        for equation in explained["equations"]:
            row = details.locator(".formulas tr", has=shown.locator(f'th:text-is("{equation["quantity"]}")'))
            assert equation["symbols"] in row.inner_text()
            assert f"{equation['value']:,}" in row.inner_text()
        assert explained["about"] in details.inner_text()
        assert shown.locator("#source .chosen").get_attribute("data-line") == explained["where"].split(":")[1]
        assert shown.evaluate("decodeURIComponent(location.hash)") == f"#layer={name}"
        marks = "e => [...e.querySelectorAll('rect')].filter(r => r.closest('[fill=\"var(--accent)\"]')).length"
        assert shown.eval_on_selector("#memory-chart", marks) == 1
        details.locator(".close").click()
        assert shown.locator(".chosen").count() == 0


def test_an_address_with_a_layer_opens_at_it(browser: Any, folder: Path) -> None:
    with opened(browser, written(folder, "googlenet"), "#layer=4c.5x5.conv") as shown:
        assert chosen_rows(shown) == ["4c.5x5.conv"]
        assert shown.locator("#graph .node.chosen").is_visible()


def test_a_click_in_a_chart_chooses(browser: Any, folder: Path) -> None:
    by_intensity = sorted(
        (row for row in cnncost.roofline("alexnet", "h100").layers if row.rate), key=lambda r: r.intensity
    )
    last = by_intensity[-1].name
    with opened(browser, written(folder, "alexnet")) as shown:
        for mark, wanted in (("#memory-chart g rect >> nth=4", "conv2"), ("#roofline-chart circle", last)):
            marks = shown.locator(mark)
            marks.first.scroll_into_view_if_needed()
            places = [box for box in (marks.nth(i).bounding_box() for i in range(marks.count())) if box]
            at = max(places, key=lambda box: box["x"])
            shown.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
            shown.mouse.down()
            shown.mouse.up()
            assert chosen_rows(shown) == [wanted]
            shown.keyboard.press("Escape")
            assert chosen_rows(shown) == []


@pytest.mark.parametrize(
    ("quantity", "value"), [("params", "params"), ("peak_bytes", "peak_bytes"), ("flops", "flops")]
)
def test_nodes_are_coloured_by_the_quantity(browser: Any, folder: Path, quantity: str, value: str) -> None:
    report = analyzed("alexnet")
    base = report.memory.parts["parameters"] if value == "peak_bytes" else 0
    figures = {layer.name: getattr(layer, value) - base for layer in report.layers}
    with opened(browser, written(folder, "alexnet")) as shown:
        shown.select_option("#quantity", quantity)
        shares = shown.eval_on_selector_all(
            "#graph .node.layer",
            "all => all.map(e => [e.getAttribute('aria-label'), e.style.getPropertyValue('--share')])",
        )
        found = {label.split(",")[0]: float(share.removesuffix("%")) for label, share in shares}
        assert found == pytest.approx({name: 100 * n / max(figures.values()) for name, n in figures.items()})


def test_another_device_gives_other_times(browser: Any, folder: Path) -> None:
    with opened(browser, written(folder, "alexnet")) as shown:
        notes = []
        for label, key in (("T4", "t4"), ("A100 SXM4 80GB", "a100-80gb")):
            names = shown.eval_on_selector_all("#device option", "all => all.map(e => e.textContent)")
            wanted = cnncost.load_device(key).name
            assert wanted in names, label
            shown.select_option("#device", label=wanted)
            shown.wait_for_function(
                "text => document.getElementById('roofline-note').textContent !== text", arg=notes[-1] if notes else ""
            )
            notes.append(shown.locator("#roofline-note").inner_text())

            priced = cnncost.roofline("alexnet", key)
            times = [duration(layer.seconds) if layer.seconds else "" for layer in priced.layers]
            cells = shown.eval_on_selector_all(
                "#layer-table .time", "all => all.filter(e => e.tagName === 'TD').map(e => e.textContent)"
            )
            assert cells[: len(times)] == times
        assert notes[0] != notes[1]


@pytest.mark.parametrize("system", ["light", "dark"])
def test_light_and_dark(browser: Any, folder: Path, system: str) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    colours = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}
    with opened(browser, written(folder, "alexnet"), color_scheme=system) as shown:
        assert shown.evaluate(paper) == colours[system]
        for wanted in ("light", "dark"):
            shown.click("#theme")
            assert shown.locator("#theme").inner_text() == f"theme: {wanted}"
            assert shown.evaluate(paper) == colours[wanted]
        shown.reload()
        shown.wait_for_selector("body[data-ready]", state="attached")
        assert shown.evaluate(paper) == colours["dark"]


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Any, folder: Path) -> None:
    for name in ("resnet152", "googlenet"):
        with opened(browser, written(folder, name), viewport={"width": 375, "height": 800}) as shown:
            assert shown.evaluate("document.scrollingElement.scrollWidth") <= 375
            assert shown.locator("#graph .node").first.is_visible()


def test_on_paper_it_is_whole(browser: Any, folder: Path) -> None:
    with opened(browser, written(folder, "resnet152")) as shown:
        shown.emulate_media(media="print")
        assert not shown.locator(".toolbar").is_visible()
        heights = "e => [e.scrollHeight, e.clientHeight]"
        whole, seen = shown.eval_on_selector("#layers .scrolled", heights)
        assert whole <= seen + 1


def test_measured_times_stand_beside_attainable_ones(browser: Any, tmp_path: Path) -> None:
    measured = {"conv1": 0.004, "fc6": 0.002}
    with opened(browser, written(tmp_path, "alexnet", device="epyc-7763", measured=measured)) as shown:
        assert "Measured: 6 ms" in shown.locator("#roofline-note").inner_text()
        assert shown.locator("#device option:checked").inner_text() == cnncost.load_device("epyc-7763").name
        shown.select_option("#quantity", "measured")
        assert shown.locator("#most").inner_text() == "4 ms"
        assert shown.locator(".largest tr").count() == len(measured)


def test_a_long_row_of_layers_is_in_runs_and_its_table_waits_until_it_is_seen(browser: Any, tmp_path: Path) -> None:
    count = 1100
    spec = tmp_path / "long.yaml"
    lines = [f"  a{i}: {{conv: 2, kernel: 1}}" if i % 3 else f"  a{i}: relu" for i in range(count)]
    spec.write_text("input: 2x4x5\nlayers:\n" + "\n".join(lines) + "\n")
    with opened(browser, written(tmp_path, str(spec))) as shown:
        assert len(drawn(shown)) == count // 50 + 2
        assert shown.locator("#graph .node[aria-label^='layers 1 to 50,']").count() == 1
        shown.click("#unfold")
        assert len(drawn(shown)) == count + 2
        assert shown.locator("#layers .deferred").count() == 1
        shown.locator("#layers").scroll_into_view_if_needed()
        shown.wait_for_selector("#layers .scrolled:not(.deferred)")
        assert table_column(shown, 1) == [f"a{i}" for i in range(count)]
        shown.fill("#search", f"a{count - 1}")
        shown.press("#search", "Enter")
        assert chosen_rows(shown) == [f"a{count - 1}"]
        assert shown.locator("#graph .node.chosen").is_visible()


def test_where_the_graph_fails_the_rest_goes_on(browser: Any, folder: Path) -> None:
    window = browser.new_context()
    shown = window.new_page()
    shown.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")  # texts cannot be measured
    shown.goto(written(folder, "alexnet").as_uri())
    shown.wait_for_selector("body[data-ready]", state="attached")
    assert "The graph cannot be drawn" in shown.locator("#graph").inner_text()
    shown.click("#layer-table tbody tr >> nth=4")
    assert shown.locator("#details h2").inner_text().startswith("conv2")
    window.close()


@pytest.mark.parametrize("fragment", ["#100%", "#layer=%E0%A4%A", "#layer=nothing", "#layers", "#layer="])
def test_an_address_that_names_no_layer_opens_all_the_same(browser: Any, folder: Path, fragment: str) -> None:
    with opened(browser, written(folder, "alexnet"), fragment) as shown:
        assert chosen_rows(shown) == []
        assert shown.locator("#graph .node").count() == len(analyzed("alexnet").layers) + 2


def test_the_last_device_counts(browser: Any, folder: Path) -> None:
    with opened(browser, written(folder, "alexnet")) as shown:
        first, second = shown.eval_on_selector_all("#device option", "all => all.slice(1, 3).map(e => e.value)")
        change = """([a, b]) => { const field = document.getElementById("device");
          for (const value of [a, b, a, b]) { field.value = value; field.dispatchEvent(new Event("change")); } }"""
        shown.evaluate(change, [first, second])
        shown.wait_for_timeout(300)
        name = shown.locator("#device option:checked").inner_text()
        key = next(d for d in device_keys() if cnncost.load_device(d).name == name)
        assert shown.locator("#whole-time").inner_text() == duration(cnncost.roofline("alexnet", key).total.seconds)

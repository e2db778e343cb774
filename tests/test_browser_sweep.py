"""The page of a design space in a real browser: axes, sliders and charts, and a point that is chosen in all of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from browser import opened, running
from PIL import Image

import cnncost
from cnncost.analysis.choice import POINT, Pareto, Top, parse_pareto
from cnncost.analysis.sweep.points import every_point
from cnncost.analysis.sweep.run import Job, run
from cnncost.analysis.sweep.space import Summary
from cnncost.api.sweeps import space_of
from cnncost.output.page.sweep import SweepPage, sweep_page
from cnncost.output.sweep import Swept

VARIED = {"width": (16, 32, 48, 64), "input": tuple(range(64, 257, 32)), "batch": (1, 2)}
POINTS = 4 * 7 * 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running() as found:
        yield found


def written(folder: Path, spec: str, varied: dict[str, Any], pareto: str | None = None, **options: Any) -> Path:
    """The page of a sweep as a file."""
    space = space_of(spec, varied, **options)
    aims = parse_pareto(pareto, space.names) if pareto else ()
    choice: Any = Pareto(aims) if pareto else Top(POINT, 20)
    summary, chosen = Summary(), deepcopy(choice)
    for done in run(Job(space, choice)):
        summary.merge(done.summary)
        chosen.merge(done.choice)
    swept = Swept(space, summary, chosen.rows(), f"that no other beats in {pareto}" if pareto else "")
    path = folder / "space.html"
    told = tuple((aim.column, aim.largest) for aim in aims)
    path.write_text(sweep_page(SweepPage(swept, every_point(space), told)), encoding="utf-8")
    return path


def count(shown: Any, chart: str, mark: str) -> int:
    found: int = shown.locator(f"{chart} svg g[aria-label='{mark}'] path").count()
    return found


def press(shown: Any, chart: str, across: float, up: float) -> None:
    """Click at parts of a chart's width and height."""
    plot = shown.locator(f"{chart} svg[class^=plot]").last
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    x, y = box["x"] + across * box["width"], box["y"] + up * box["height"]
    shown.mouse.move(x - 1, y)
    shown.mouse.move(x, y)
    shown.mouse.down()
    shown.mouse.up()


@pytest.mark.parametrize("system", ["light", "dark"])
def test_it_opens_with_a_surface_lines_and_all_points(browser: Any, tmp_path: Path, system: str) -> None:
    with opened(browser, written(tmp_path, "resnet18", VARIED), color_scheme=system) as shown:
        assert shown.locator("#across").input_value() == "axis input"
        assert shown.locator("#up").input_value() == "axis width"
        assert shown.locator("#others .slider:visible").count() == 1
        assert shown.locator("#surface-note").inner_text() == "28 points here."
        assert shown.locator("#surface-chart image").count() >= 1
        assert count(shown, "#surface-chart", "contour") > 3
        assert count(shown, "#lines-chart", "line") == 4
        assert shown.locator("#scatter-note").inner_text().startswith(f"{POINTS} of {POINTS} points count here.")


def test_axes_can_be_chosen_and_change_places(browser: Any, tmp_path: Path) -> None:
    with opened(browser, written(tmp_path, "resnet18", VARIED)) as shown:
        shown.select_option("#across", "axis batch")
        assert shown.locator("#surface-note").inner_text() == "8 points here."
        assert count(shown, "#lines-chart", "line") == 4
        assert shown.locator("#others .slider:visible").inner_text().startswith("input")
        shown.select_option("#up", "axis batch")
        assert shown.locator("#across").input_value() == "axis width"
        assert count(shown, "#lines-chart", "line") == 2
        shown.select_option("#quantity", "params")
        assert "params" in shown.locator("#surface-chart").inner_text()
        shown.check("#log")
        assert "params" in shown.locator("#lines-chart").inner_text()


def test_axes_have_the_unit_that_they_name(browser: Any, tmp_path: Path) -> None:
    known = cnncost.sweep("resnet18", VARIED)
    with opened(browser, written(tmp_path, "resnet18", VARIED)) as shown:
        assert "↑ MACs (M)" in shown.locator("#lines-chart").inner_text()
        ticks = shown.locator("#lines-chart g[aria-label='y-axis tick label'] text").all_text_contents()
        most = max(float(tick.replace(",", "")) for tick in ticks)
        largest = known["macs"][:, :, 0].max() / 10**6
        assert largest / 1.5 < most < 1.5 * largest


def test_a_slider_shows_another_slice(browser: Any, tmp_path: Path) -> None:
    known = cnncost.sweep("resnet18", VARIED)
    with opened(browser, written(tmp_path, "resnet18", VARIED)) as shown:
        slider = shown.locator("#others .slider:visible input")
        slider.fill("1")
        assert shown.locator("#others .slider:visible output").inner_text() == "2"
        press(shown, "#surface-chart", 0.97, 0.2)
        pane = shown.locator("#chosen-point").inner_text()
        assert "cnncost report resnet18 --set width=64 --batch 2 --input 3x256x256" in pane
        assert f"{known['macs'][3, 6, 1] / 10**9:.3f} G" in pane


def test_a_chosen_point_is_marked_in_all_charts_and_in_the_table(browser: Any, tmp_path: Path) -> None:
    with opened(browser, written(tmp_path, "resnet18", {"width": (16, 32), "input": (64, 96, 128)})) as shown:
        shown.locator("#point-table tbody tr").nth(4).click()
        rings = "g[aria-label='dot'][stroke-width='3'] circle"
        for chart in ("#surface-chart", "#lines-chart", "#scatter-chart"):
            assert shown.locator(f"{chart} {rings}").count() == 1
        assert "--set width=32 --input 3x96x96" in shown.locator("#chosen-point").inner_text()
        shown.keyboard.press("Escape")
        assert shown.locator(rings).count() == 0
        assert shown.locator("tr.chosen").count() == 0
        press(shown, "#surface-chart", 0.9, 0.3)
        assert shown.locator("#point-table tr.chosen").count() == 1


def test_impossible_points_are_blank_and_counted(browser: Any, tmp_path: Path) -> None:
    varied = {"input": tuple(range(32, 257, 32)), "classes": (10, 100, 1000)}
    known = cnncost.sweep("alexnet", varied)
    refused = int((~known.possible).sum())
    path = written(tmp_path, "alexnet", varied, where="macs < 500M")
    with opened(browser, path) as shown:
        out = int((known.possible & (known["macs"] >= 500 * 10**6)).sum())
        assert refused > 0 and out > 0
        note = f"24 points here, {refused} impossible (blank), {out} left out by the condition (faint)."
        assert shown.locator("#surface-note").inner_text() == note
        assert shown.locator("#impossible summary").inner_text().startswith(f"{refused} points impossible")
        kept = int(known.possible.sum()) - out
        text = shown.locator("#scatter-note").inner_text()
        assert text.startswith(f"{kept} of 24 points count here. Faint: {out} that the condition leaves out.")
        source = shown.locator("#surface-chart image").last.get_attribute("href").partition(",")[2]
        picture = Image.open(io.BytesIO(base64.b64decode(source))).convert("RGBA")
        opacities = list(picture.getchannel("A").tobytes())
        assert [opacities.count(n) for n in (0, 255)] == [refused, kept]
        assert len(set(opacities)) == 3 and len(opacities) == 24
        press(shown, "#surface-chart", 0.1, 0.3)
        assert "impossible: layer pool" in shown.locator("#chosen-point").inner_text()


def test_the_front_is_that_of_the_choice(browser: Any, tmp_path: Path) -> None:
    path = written(tmp_path, "resnet18", VARIED, "macs,-width")
    with opened(browser, path) as shown:
        members = shown.locator("#point-table tbody tr").count()
        assert members > 2
        assert shown.locator("#s-across").input_value() == "macs"
        assert shown.locator("#s-up").input_value() == "axis width"
        assert shown.locator("#s-up-better").input_value() == "more"
        assert f"The front: {members} of them" in shown.locator("#scatter-note").inner_text()
        shown.select_option("#s-up-better", "less")
        assert "The front: 1 of them" in shown.locator("#scatter-note").inner_text()
        shown.uncheck("#s-across-log")
        shown.select_option("#colour", "axis width")
        assert shown.locator("#scatter-chart").inner_text().count("width") >= 1


def test_arrow_keys_go_over_the_surface(browser: Any, tmp_path: Path) -> None:
    with opened(browser, written(tmp_path, "resnet18", VARIED)) as shown:
        shown.locator("#others .slider:visible input").fill("1")
        shown.focus("#surface-chart")
        for key in ("ArrowUp", "ArrowUp", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowDown"):
            shown.keyboard.press(key)
        assert "--set width=16 --batch 2 --input 3x96x96" in shown.locator("#chosen-point").inner_text()
        shown.emulate_media(media="print")
        assert shown.locator("#standing").inner_text() == "at batch 2"


def test_a_choice_by_more_than_two_is_ringed(browser: Any, tmp_path: Path) -> None:
    with opened(browser, written(tmp_path, "resnet18", VARIED, "macs,params,-input")) as shown:
        members = shown.locator("#point-table tbody tr").count()
        rings = shown.locator("#scatter-chart g[aria-label='dot'][stroke='var(--ink)'] circle")
        assert rings.count() == members > 2
        text = shown.locator("#scatter-note").inner_text()
        assert text.endswith(f"Ringed: the {members} points that no other beats in macs,params,-input.")


def test_one_axis_has_lines_alone(browser: Any, tmp_path: Path) -> None:
    with opened(browser, written(tmp_path, "alexnet", {"batch": (1, 2, 4)})) as shown:
        assert shown.locator("#surface").count() == 0
        assert count(shown, "#lines-chart", "line") == 1
        assert shown.locator("#others").is_hidden()


def test_words_and_shapes_are_axes_too(browser: Any, tmp_path: Path) -> None:
    varied = {"input": ("3x64x64", "3x64x96", "3x32x128"), "width": (16, 32)}
    with opened(browser, written(tmp_path, "resnet18", varied)) as shown:
        assert "3x64x96" in shown.locator("#surface-chart").inner_text()
        assert count(shown, "#surface-chart", "contour") == 0, "shapes have no order"
        assert "3x64x96" in shown.locator("#lines-chart").inner_text()


def test_points_that_were_not_drawn_are_told(browser: Any, tmp_path: Path) -> None:
    with opened(browser, written(tmp_path, "resnet18", VARIED, sample=20)) as shown:
        text = shown.locator("#surface-note").inner_text()
        assert text.startswith("28 points here, ") and text.endswith(" not among the points that were drawn (blank).")


def test_it_fits_a_phone(browser: Any, tmp_path: Path) -> None:
    path = written(tmp_path, "resnet18", VARIED)
    with opened(browser, path, viewport={"width": 375, "height": 800}) as shown:
        assert shown.evaluate("document.scrollingElement.scrollWidth") <= 375
        assert shown.locator("#surface-chart svg").first.is_visible()

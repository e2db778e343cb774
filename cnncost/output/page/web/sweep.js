// The page of a design space: a surface over two axes, lines over one, and two quantities against each other.

import { byId, embedded, html, unpacked } from "./dom.js";
import { chooses, keys, put } from "./fields.js";
import { choosingRows } from "./rows.js";
import { scatterChart } from "./scatter.js";
import { Space } from "./space.js";
import { State } from "./state.js";
import { linesChart, surfaceChart } from "./surface.js";

/** The axes that are neither across nor up: a slider each, which says what it stands at. */
function sliders(space, state) {
  const labels = [...document.querySelectorAll("#others .slider")];
  labels.forEach((label, i) => {
    chooses(`at-${i}`, (place) => {
      label.querySelector("output").textContent = space.axes[i].texts[place];
      state.set(
        "at",
        state.get("at").map((other, k) => (k === i ? Number(place) : other)),
      );
    });
  });
  state.follow(["across", "up", "at"], () => {
    const others = space.axes.filter(({ key }) => ![state.get("across"), state.get("up")].includes(key));
    byId("standing").textContent = others.length
      ? `at ${others.map((axis) => `${axis.name} ${axis.texts[state.get("at")[axis.place]]}`).join(", ")}`
      : "";
    for (const [i, label] of labels.entries())
      label.hidden = [state.get("across"), state.get("up")].includes(space.axes[i].key);
    byId("others").hidden = labels.every((label) => label.hidden);
  });
}

/** The two axes: choosing one for both lets them change places. */
function axes(space, state) {
  for (const [id, other] of [
    ["across", "up"],
    ["up", "across"],
  ]) {
    chooses(id, (key) => {
      const before = state.get(id);
      state.set(id, key);
      if (state.get(other) === key) put(other, before);
    });
  }
}

/** Arrow keys go from point to point over the surface. */
function arrows(space, state) {
  byId("surface-chart")?.addEventListener("keydown", (event) => {
    const [id, step] =
      { ArrowLeft: ["across", -1], ArrowRight: ["across", 1], ArrowDown: ["up", -1], ArrowUp: ["up", 1] }[event.key] ??
      [];
    if (!id) return;
    event.preventDefault();
    const axis = space.byKey.get(state.get(id));
    const places = [
      ...(state.get("item")?.places ??
        state
          .get("at")
          .map((place, k) => ([state.get("across"), state.get("up")].includes(space.axes[k].key) ? 0 : place))),
    ];
    if (state.get("item")) places[axis.place] += step;
    const next = places[axis.place] in axis.texts ? space.at(places) : null;
    if (next) state.set("item", next);
  });
}

/** The chosen point in full, with the command that prints its report. */
function details(space, state) {
  const pane = byId("chosen-point");
  const hint = [...pane.childNodes];
  state.follow(["item"], (point) => {
    if (!point) return pane.replaceChildren(...hint);
    const rows = [
      ...space.axes.map((axis) => [axis.name, axis.texts[point.places[axis.place]]]),
      ...space.quantities.map(({ key, name }) => [name, space.text(point, key)]),
    ];
    pane.replaceChildren(
      html(
        "h2",
        {},
        `point ${point.number}`,
        " ",
        html("button", { class: "close", "aria-label": "close", click: () => state.set("item", null) }, "×"),
      ),
      html(
        "dl",
        {},
        ...rows.filter(([, text]) => text).flatMap(([name, text]) => [html("dt", {}, name), html("dd", {}, text)]),
      ),
      ...(point.reason ? [html("p", { class: "warning" }, `impossible: ${point.reason}`)] : []),
      ...(point.out ? [html("p", { class: "warning" }, `left out by the condition: ${space.where}`)] : []),
      html("p", {}, "Its report: ", html("code", {}, space.command(point))),
    );
  });
}

export async function sweep() {
  const data = embedded("data");
  const space = new Space(data, await unpacked("points"));
  const [first, second] = [...space.axes].sort((a, b) => b.texts.length - a.texts.length);
  const state = new State({
    item: null,
    at: space.axes.map(() => 0),
    across: first.key,
    up: second?.key,
    quantity: data.first.quantity,
    log: false,
    "s-across": data.first.across,
    "s-up": data.first.up,
    colour: first.key,
  });
  byId("across").value = first.key;
  if (second) byId("up").value = second.key;
  byId("quantity").value = data.first.quantity;
  for (const id of ["s-across", "s-up"]) byId(id).value = state.get(id);
  byId("colour").value = first.key;
  axes(space, state);
  for (const id of ["quantity", "log", "colour"]) chooses(id, (value) => state.set(id, value));
  const above = (key) => space.points.every((point) => point.reason || space.value(point, key) > 0);
  for (const id of ["s-across", "s-up"]) {
    for (const part of ["log", "better"]) chooses(`${id}-${part}`, (value) => state.set(`${id}-${part}`, value));
    chooses(id, (key) => {
      put(`${id}-log`, above(key));
      put(`${id}-better`, data.aims[key.replace(/^axis /, "")] ?? "less");
      state.set(id, key);
    });
  }
  sliders(space, state);
  arrows(space, state);
  details(space, state);
  surfaceChart(space, state);
  linesChart(space, state);
  scatterChart(space, state);
  const table = byId("point-table");
  if (table) choosingRows(table, space.points, state, "item");
  keys(state, "item");
}

// A quantity over two axes as colours with contours, and over one of them as lines.

import * as Plot from "@observablehq/plot";
import { byId, html } from "./dom.js";
import { ACCENT, chart, choosing, DIM, grouped, logTicks, PAPER } from "./plots.js";

const TICKS = 12;
const LINES_AT_MOST = 9;
const FAINT = 0.3;
const CONTOURS = 9;
const SCHEME = "viridis";
const FOLLOWED = ["across", "up", "quantity", "log", "at", "item"];

/** Ticks at places of an axis, as many as there is room for, with the values as they are written. */
function ticks(axis, most = TICKS) {
  const step = Math.max(1, Math.ceil(axis.texts.length / most));
  return { ticks: axis.texts.map((_, i) => i).filter((i) => i % step === 0), tickFormat: (i) => axis.texts[i] };
}

/** The places where two axes vary and the others stand where their sliders are. */
function slice(space, state, across, up) {
  const points = [];
  for (let j = 0; j < (up ? up.texts.length : 1); j++) {
    for (let i = 0; i < across.texts.length; i++) {
      const places = [...state.get("at")];
      places[across.place] = i;
      if (up) places[up.place] = j;
      points.push(space.at(places) ?? null);
    }
  }
  return points;
}

function shownAxes(space, state) {
  return [space.byKey.get(state.get("across")), state.get("up") && space.byKey.get(state.get("up"))];
}

/** How many points of a slice cannot be, are left out, or were not drawn. */
function missing(points) {
  const counts = [
    ["impossible (blank)", points.filter((point) => point?.reason).length],
    ["left out by the condition (faint)", points.filter((point) => point?.out).length],
    ["not among the points that were drawn (blank)", points.filter((point) => !point).length],
  ].filter(([, count]) => count);
  return `${grouped(points.length)} points here${counts.map(([what, count]) => `, ${grouped(count)} ${what}`).join("")}.`;
}

/** Whether a logarithm can be drawn: all values are above 0. */
function scaleType(state, values) {
  return state.get("log") && values.every((value) => value === null || value > 0) ? "log" : "linear";
}

/** A grid with its edges once more around it: contours bend where a grid ends. */
function padded(values, nx, ny) {
  const within = (i, n) => Math.max(0, Math.min(n - 1, i));
  return Array.from(
    { length: (nx + 2) * (ny + 2) },
    (_, k) => values[within(Math.floor(k / (nx + 2)) - 1, ny) * nx + within((k % (nx + 2)) - 1, nx)],
  );
}

/** Where contours go: evenly, on the scale that there is. */
function levels([least, most], type) {
  const part = (k) => k / (CONTOURS + 1);
  return Array.from({ length: CONTOURS }, (_, k) =>
    type === "log" ? least * (most / least) ** part(k + 1) : least + (most - least) * part(k + 1),
  );
}

/** The least and most of the points that count, by which colours go; of all where too few do. */
function extent(points, values) {
  const counting = values.filter((value, i) => value !== null && points[i].counts);
  const of = new Set(counting).size > 1 ? counting : values.filter((value) => value !== null);
  return [[...of].reduce((a, b) => Math.min(a, b)), [...of].reduce((a, b) => Math.max(a, b))]; // too many to be arguments
}

/** The heat map with its contours. */
export function surfaceChart(space, state) {
  chart("surface-chart", state, FOLLOWED, (width) => {
    const [across, up] = shownAxes(space, state);
    const quantity = state.get("quantity");
    const points = slice(space, state, across, up);
    const values = points.map((point) => (point && !point.reason ? space.value(point, quantity) : null));
    byId("surface-note").textContent = missing(points);
    const real = points.filter((point) => point && !point.reason);
    if (!real.length) return html("p", {}, "Every point here is impossible.");
    const [nx, ny] = [across.texts.length, up.texts.length];
    const box = { width: nx, height: ny, x1: -0.5, x2: nx - 0.5, y1: -0.5, y2: ny - 0.5 };
    const at = { x: (point) => point.places[across.place], y: (point) => point.places[up.place] };
    const type = scaleType(state, values);
    const contours = nx > 2 && ny > 2 && values.every((value) => value !== null) && across.numeric && up.numeric;
    const chosen = real.filter((point) => point === state.get("item"));
    const longest = Math.max(...up.texts.map((text) => text.length));
    const plot = Plot.plot({
      width,
      height: Math.max(220, Math.min(520, 90 + 40 * ny)),
      marginLeft: Math.max(46, 14 + 7 * Math.min(longest, 18)),
      marginTop: 30,
      marginBottom: 42,
      x: { domain: [-0.5, nx - 0.5], label: `${across.name} →`, ...ticks(across, width < 500 ? 6 : TICKS) },
      y: { domain: [-0.5, ny - 0.5], label: `↑ ${up.name}`, ...ticks(up) },
      color: {
        scheme: SCHEME,
        type,
        domain: extent(points, values),
        clamp: true,
        legend: true,
        label: space.label(quantity),
      },
      marks: [
        Plot.raster(values, {
          ...box,
          fill: (value) => value,
          fillOpacity: (_, i) => (points[i]?.counts ? 1 : FAINT),
          imageRendering: "pixelated",
        }),
        contours
          ? Plot.contour(padded(values, nx, ny), {
              width: nx + 2,
              height: ny + 2,
              x1: -1.5,
              x2: nx + 0.5,
              y1: -1.5,
              y2: ny + 0.5,
              clip: true,
              stroke: PAPER,
              strokeOpacity: 0.75,
              strokeWidth: 1,
              value: (value) => value,
              thresholds: levels(extent(points, values), type),
            })
          : null,
        Plot.dot(chosen, { ...at, r: 7, stroke: ACCENT, strokeWidth: 3 }),
        Plot.tip(
          points.filter(Boolean),
          Plot.pointer({ ...at, maxRadius: Infinity, title: (point) => space.title(point) }),
        ),
      ],
    });
    return choosing(plot, (point) => state.set("item", point));
  });
}

/** The values of an axis that get a line: all, or some from the first to the last. */
function some(axis) {
  const count = axis.texts.length;
  if (count <= LINES_AT_MOST) return axis.texts.map((_, i) => i);
  return Array.from({ length: LINES_AT_MOST }, (_, k) => Math.round((k * (count - 1)) / (LINES_AT_MOST - 1)));
}

/** The same quantity over the axis across; a line for each value of the other. */
export function linesChart(space, state) {
  chart("lines-chart", state, FOLLOWED, (width) => {
    const [across, up] = shownAxes(space, state);
    const quantity = state.get("quantity");
    const lines = up ? some(up) : [];
    const points = slice(space, state, across, up).filter(
      (point) => point && !point.reason && (!up || lines.includes(point.places[up.place])),
    );
    const few =
      up && lines.length < up.texts.length
        ? `${lines.length} of the ${up.texts.length} values of ${up.name} are drawn. `
        : "";
    byId("lines-note").textContent =
      few + (points.some((point) => point.out) ? "Faint: left out by the condition." : "");
    if (!points.length) return html("p", {}, "Every point here is impossible.");
    const x = across.numeric
      ? (point) => across.values[point.places[across.place]]
      : (point) => point.places[across.place];
    const at = { x, y: (point) => space.value(point, quantity) };
    const line = (point) => (up ? up.texts[point.places[up.place]] : "");
    const z = up ? { z: line, stroke: line } : { stroke: ACCENT };
    const fill = up ? { fill: line } : { fill: ACCENT };
    const plot = Plot.plot({
      width,
      height: 320,
      marginLeft: 60,
      marginTop: 30,
      marginBottom: 42,
      grid: true,
      x: across.numeric
        ? { label: `${across.name} →` }
        : { domain: [-0.5, across.texts.length - 0.5], label: `${across.name} →`, ...ticks(across) },
      y: {
        label: `↑ ${space.label(quantity)}`,
        type: scaleType(state, points.map(at.y)),
        ...logTicks(scaleType(state, points.map(at.y)) === "log"),
        zero: !state.get("log"),
        nice: true,
      },
      color: {
        type: "ordinal",
        scheme: SCHEME,
        domain: up ? lines.map((i) => up.texts[i]) : [""],
        legend: Boolean(up),
        label: up?.name,
      },
      marks: [
        across.numeric ? Plot.line(points, { ...at, ...z, strokeWidth: 1.6, strokeOpacity: 0.8 }) : null,
        Plot.dot(points, {
          ...at,
          ...fill,
          r: points.length > 400 ? 1.5 : 3,
          fillOpacity: { value: (point) => (point.counts ? 1 : FAINT), scale: null },
        }),
        Plot.dot(
          points.filter((point) => point === state.get("item")),
          { ...at, r: 7, stroke: ACCENT, strokeWidth: 3 },
        ),
        up
          ? Plot.text(
              points,
              Plot.selectMaxX({
                ...at,
                ...(up ? { z: line } : {}),
                text: line,
                textAnchor: "start",
                dx: 6,
                fill: DIM,
                stroke: PAPER,
                strokeWidth: 3,
                clip: false,
              }),
            )
          : null,
        Plot.tip(points, Plot.pointer({ ...at, title: (point) => space.title(point) })),
      ],
    });
    return choosing(plot, (point) => state.set("item", point));
  });
}

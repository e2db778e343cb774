// Two amounts of every point against each other, with the front of those that count.

import * as Plot from "@observablehq/plot";
import { byId, html } from "./dom.js";
import { front, steps } from "./front.js";
import { ACCENT, chart, choosing, DIM, grouped, INK, logTicks, PAPER } from "./plots.js";

const DRAWN_AT_MOST = 4000; // points; more are no more to see, and slow to draw
const FIELDS = ["s-across", "s-up"].flatMap((id) => [id, `${id}-log`, `${id}-better`]);

/** Every k-th of many. */
function thinned(points) {
  const step = Math.ceil(points.length / DRAWN_AT_MOST);
  return points.filter((_, i) => i % step === 0);
}

export function scatterChart(space, state) {
  chart("scatter-chart", state, [...FIELDS, "colour", "item"], (width) => {
    const [across, up] = [state.get("s-across"), state.get("s-up")];
    const logs = [state.get("s-across-log"), state.get("s-up-log")];
    const at = { x: (point) => space.value(point, across), y: (point) => space.value(point, up) };
    const real = space.points.filter(
      (point) => !point.reason && (!logs[0] || at.x(point) > 0) && (!logs[1] || at.y(point) > 0),
    );
    const counting = real.filter((point) => point.counts);
    const better = [state.get("s-across-better"), state.get("s-up-better")];
    const members = across === up ? [] : front(counting, at.x, at.y, better);
    const shown = [...new Set([...thinned(real), ...thinned(members)])];
    byId("scatter-note").textContent = note(
      space,
      real,
      counting,
      members,
      shown,
      better,
      [across, up].map((key) => space.byKey.get(key).name),
    );
    if (!real.length) return html("p", {}, "Every point is impossible, or has no logarithm.");
    const colour = space.byKey.get(state.get("colour"));
    const of = (point) => (colour.numeric ? colour.values : colour.texts)[point.places[colour.place]];
    const axis = (key, log) => ({
      label: space.label(key),
      type: log ? "log" : "linear",
      ...logTicks(log),
      nice: !log,
      grid: true,
    });
    const line = steps(members, at.x, at.y);
    const plot = Plot.plot({
      width,
      height: 420,
      marginLeft: 60,
      marginTop: 30,
      marginBottom: 42,
      inset: 8,
      x: axis(across, logs[0]),
      y: axis(up, logs[1]),
      color: { legend: true, scheme: "viridis", label: colour.name, type: colour.numeric ? "linear" : "ordinal" },
      marks: [
        Plot.dot(
          shown.filter((point) => !point.counts),
          { ...at, r: 2.5, fill: DIM, fillOpacity: 0.25 },
        ),
        Plot.dot(
          shown.filter((point) => point.counts),
          { ...at, r: shown.length > 1000 ? 2.5 : 3.5, fill: of, fillOpacity: 0.85 },
        ),
        Plot.line(line, { x: "x", y: "y", stroke: ACCENT, strokeWidth: 1.6, strokeDasharray: "5 3" }),
        Plot.dot(thinned(members), { ...at, r: 4.5, fill: of, stroke: ACCENT, strokeWidth: 1.6 }),
        Plot.dot(
          space.ringed.filter((point) => real.includes(point)),
          { ...at, r: 6.5, stroke: INK, strokeWidth: 1.3 },
        ),
        Plot.dot(
          real.filter((point) => point === state.get("item")),
          { ...at, r: 8, stroke: ACCENT, strokeWidth: 3, fill: PAPER, fillOpacity: 0.2 },
        ),
        Plot.tip(shown, Plot.pointer({ ...at, title: (point) => space.title(point) })),
      ],
    });
    return choosing(plot, (point) => state.set("item", point));
  });
}

function note(space, real, counting, members, shown, better, names) {
  const parts = [`${grouped(counting.length)} of ${grouped(space.points.length)} points count here.`];
  if (real.length > counting.length)
    parts.push(`Faint: ${grouped(real.length - counting.length)} that the condition leaves out.`);
  if (shown.length < real.length)
    parts.push(`There are too many to draw: ${grouped(shown.length)} are, evenly chosen.`);
  if (members.length)
    parts.push(
      `The front: ${grouped(members.length)} of them, for each of which no other has both ${better[0]} ${names[0]} and ${better[1]} ${names[1]}.`,
    );
  if (space.ringed.length) parts.push(`Ringed: the ${space.chosen}.`);
  return parts.join(" ");
}

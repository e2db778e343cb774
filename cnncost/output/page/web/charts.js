// Charts of the report: memory as the layers run, the roofline, shares by kind of layer.

import * as Plot from "@observablehq/plot";
import { byId, html } from "./dom.js";
import { ACCENT, chart, choosing, DIM, HEIGHT, HIGH, INK, ON_PAPER, PAPER } from "./plots.js";

const LEAST_WIDTH = 760; // of shares: narrower screens scroll

/** Bytes alive at every layer as it runs, with the peak and the chosen layer marked. */
export function memoryChart(tree, state) {
  const { steps, always, unit, peak } = tree.memory;
  const anchor = peak.number > 0.7 * steps.length ? "end" : peak.number < 0.3 * steps.length ? "start" : "middle";
  const bars = { x1: (s) => s.number - 0.5, x2: (s) => s.number + 0.5, inset: 0 };
  const nodeOf = (step) => tree.nodes[step.node];
  chart("memory-chart", state, ["item"], (width) => {
    const chosen = new Set(state.get("item") ? tree.leaves(state.get("item")) : []);
    const marked = steps.filter((step) => chosen.has(nodeOf(step)));
    const tip = { x: "number", y: "alive", title: (step) => `${step.number}. ${nodeOf(step).name}\n${step.text}` };
    const plot = Plot.plot({
      width,
      height: HEIGHT,
      marginLeft: 60,
      marginTop: 36,
      x: {
        label: "layer as it runs →",
        domain: [0.5, steps.length + 0.5],
        ticks: Math.min(10, steps.length),
        tickFormat: (n) => (Number.isInteger(n) ? n : ""),
      },
      y: { label: `↑ bytes alive (${unit})`, grid: true, zero: true },
      marks: [
        Plot.rectY(steps, { ...bars, y1: always.value, y2: "alive", fill: HIGH }),
        Plot.rectY(marked, { ...bars, y1: always.value, y2: "alive", fill: ACCENT }),
        Plot.rectY([always], { x1: 0.5, x2: steps.length + 0.5, y: "value", fill: DIM, fillOpacity: 0.3 }),
        Plot.text([always], { y: (a) => a.value / 2, frameAnchor: "middle", text: "text", fill: INK }),
        Plot.dot([peak], { x: "number", y: "alive", r: 4, fill: ACCENT }),
        Plot.text([peak], {
          x: "number",
          y: "alive",
          text: "text",
          dy: -12,
          textAnchor: anchor,
          ...ON_PAPER,
          fill: INK,
          fontWeight: 600,
        }),
        Plot.ruleY([0]),
        Plot.tip(steps, Plot.pointerX(tip)),
      ],
    });
    return choosing(plot, (step) => state.set("item", nodeOf(step)));
  });
}

/** Layers under the ceilings of the chosen device; measured ones below what is attainable. */
export function rooflineChart(tree, state) {
  chart("roofline-chart", state, ["device", "item"], (width) => {
    const device = state.get("device");
    byId("roofline-note").textContent = device ? device.note : "";
    if (!device) return null;
    const points = device.points.map((point) => pointOf(point, tree, device));
    if (!points.length) return html("p", {}, "No layer computes anything.");
    const chosen = new Set(state.get("item") ? tree.leaves(state.get("item")) : []);
    const { ridge, rate: peak, unit } = device;
    const rates = points.flatMap((p) => (p.measured ? [p.rate, p.measured] : [p.rate]));
    const xs = [...points.map((p) => p.intensity), ridge];
    const [least, most] = [Math.min(...xs) / 1.6, Math.max(...xs) * 1.6];
    const roof = [least, ridge, most].map((x) => ({ x, y: Math.min(peak, (peak * x) / ridge) }));
    const tip = { x: "intensity", y: "rate", title: "text" };
    const measured = points.filter((p) => p.measured);
    const plot = Plot.plot({
      width,
      height: HEIGHT + 40,
      marginLeft: 60,
      marginTop: 26,
      grid: true,
      x: {
        type: "log",
        label: `arithmetic intensity (${device.operations} a byte) →`,
        domain: [least, most],
        tickFormat: "~g",
      },
      y: {
        type: "log",
        label: `↑ attainable (${unit})`,
        domain: [Math.min(...rates) / 1.6, peak * 1.6],
        tickFormat: "~g",
      },
      marks: [
        Plot.line(roof, { x: "x", y: "y", stroke: INK, strokeWidth: 2 }),
        Plot.ruleX([ridge], { stroke: DIM, strokeDasharray: "3 3" }),
        Plot.link(measured, { x: "intensity", y1: "measured", y2: "rate", stroke: DIM, strokeDasharray: "3 3" }),
        Plot.dot(points, { x: "intensity", y: "rate", r: 4, fill: HIGH, stroke: PAPER }),
        Plot.dot(measured, { x: "intensity", y: "measured", r: 4, symbol: "diamond", fill: ACCENT, stroke: PAPER }),
        Plot.dot(
          points.filter((p) => chosen.has(p.node)),
          { x: "intensity", y: "rate", r: 8, stroke: ACCENT, strokeWidth: 2.5 },
        ),
        Plot.tip(points, Plot.pointer(tip)),
      ],
    });
    return choosing(plot, (p) => state.set("item", p.node));
  });
}

/** A layer under the roofline, with all that is said of it. */
function pointOf([number, intensity, rate, attainable, measured, took], tree, device) {
  const [, least, bound] = device.layers[number];
  const lines = [tree.nodes[number].name, bound, `attainable: ${attainable}, ${least}`];
  return {
    node: tree.nodes[number],
    intensity,
    rate,
    measured,
    text: [...lines, ...(took ? [`measured: ${took}`] : [])].join("\n"),
  };
}

/** How quantities are shared among kinds of layer: a row a kind, a column a quantity. */
export function sharesChart(tree, state) {
  const { kinds } = tree;
  chart("shares-chart", state, ["device"], (width) => {
    const device = state.get("device");
    const named = tree.quantities.filter(({ key, adds }) => adds && (key !== "time" || device));
    const cells = kinds.flatMap((kind) =>
      named.map(({ key, name }) => {
        const [part, text] = (key === "time" ? device.kinds[kind.op] : kind.shares[key]) ?? [0, ""];
        return { op: kind.op, quantity: name, part, text };
      }),
    );
    return Plot.plot({
      width: Math.max(width, LEAST_WIDTH),
      height: 40 + 24 * kinds.length,
      marginLeft: 110,
      marginTop: 30,
      marginRight: 44,
      fx: { domain: named.map((q) => q.name), label: null, padding: 0.16 },
      x: { domain: [0, 155], axis: null },
      y: { domain: kinds.map((k) => k.op), label: null },
      marks: [
        Plot.axisFx({ anchor: "top" }),
        Plot.barX(cells, { x: "part", y: "op", fx: "quantity", fill: HIGH, insetTop: 3, insetBottom: 3 }),
        Plot.text(cells, { x: "part", y: "op", fx: "quantity", text: "text", textAnchor: "start", dx: 4, fill: INK }),
      ],
    });
  });
}

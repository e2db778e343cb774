// Layers of one op over what varies: time, or what is reached a second, a line a setting and further size.

import * as Plot from "@observablehq/plot";
import { byId, html } from "./dom.js";
import { ACCENT, chart, choosing, INK, logTicks } from "./plots.js";

const TERA = 1e12;
const GIGA = 1e9;

/** Amounts by key: their label, and a row's value. */
function amounts({ unit, worth }) {
  return {
    time: {
      label: `time (${unit})`,
      value: (row) => row.timing.median / worth,
      spread: (row, part) => row.timing[part] / worth,
    },
    flops: { label: "TFLOP/s", value: (row) => (row.flops ?? NaN) / TERA },
    bytes: { label: "GB/s", value: (row) => (row.bytes ?? NaN) / GIGA },
    efficiency: { label: "% of the roofline", value: (row) => 100 * (row.efficiency ?? NaN) },
  };
}

/** All timed layers with what they are of each axis. */
function points({ tables, study }) {
  return tables.flatMap(({ rows, name }, t) =>
    rows.map((row, i) => ({ row, at: study.at[t][i], setting: study.settings ? name : null })),
  );
}

/** What tells the lines apart: all that varies but the axis. */
function lineOf(axes, over) {
  const others = axes.filter(({ key }) => key !== over);
  return ({ at, setting }) =>
    [setting, ...others.map(({ key, name }) => `${name} ${at[key]}`)].filter(Boolean).join(", ");
}

export function studyChart(data, state) {
  const all = points(data);
  const byKey = amounts(data);
  chart("study-chart", state, ["over", "over-log", "amount", "amount-log", "item"], (width) => {
    const { axes } = data.study;
    if (!axes.length) return html("p", {}, "Nothing varies here: the table has the figures.");
    const over = axes.find(({ key }) => key === state.get("over")) ?? axes[0];
    const { label, value, spread } = byKey[state.get("amount")];
    const timed = all.filter(({ row, at }) => row.timing && Number.isFinite(value(row)) && at[over.key] !== undefined);
    const failed = all.length - all.filter(({ row }) => row.timing).length;
    byId("study-note").textContent = failed
      ? `${failed} failed: the table says why.`
      : spread
        ? "Thin lines: the spread of the repetitions."
        : "";
    if (!timed.length) return html("p", {}, "No layer has such a figure.");
    const line = lineOf(axes, over.key);
    const several = new Set(timed.map(line)).size > 1;
    const at = { x: (p) => p.at[over.key], y: (p) => value(p.row) };
    const logs = [state.get("over-log") && over.numeric, state.get("amount-log")];
    const stroke = several ? line : () => "";
    const sorted = over.numeric ? [...timed].sort((a, b) => at.x(a) - at.x(b)) : timed;
    const plot = Plot.plot({
      width,
      height: 420,
      marginLeft: 60,
      marginTop: 30,
      marginBottom: 42,
      grid: true,
      inset: 6,
      x: {
        label: `${over.name} →`,
        ...(over.numeric
          ? { type: logs[0] ? "log" : "linear", ...logTicks(logs[0]) }
          : { type: "point", domain: over.values }),
      },
      y: { label: `↑ ${label}`, type: logs[1] ? "log" : "linear", ...logTicks(logs[1]), zero: !logs[1] },
      color: { legend: several, scheme: "observable10", type: "categorical", domain: [...new Set(timed.map(stroke))] },
      marks: [
        over.numeric ? Plot.line(sorted, { ...at, z: line, stroke, strokeWidth: 1.8 }) : null,
        spread
          ? Plot.ruleX(sorted, {
              x: at.x,
              y1: (p) => spread(p.row, "low"),
              y2: (p) => spread(p.row, "high"),
              stroke: INK,
              strokeOpacity: 0.6,
            })
          : null,
        Plot.dot(sorted, { ...at, fill: stroke, r: 3.2 }),
        Plot.dot(
          sorted.filter(({ row }) => row.timing.doubts.length),
          { ...at, r: 5.5, stroke: INK, strokeWidth: 1, strokeDasharray: "2 2" },
        ),
        Plot.dot(
          sorted.filter(({ row }) => row === state.get("item")),
          { ...at, r: 8, stroke: ACCENT, strokeWidth: 3 },
        ),
        Plot.tip(sorted, Plot.pointer({ ...at, title: (p) => [line(p), ...p.row.lines].filter(Boolean).join("\n") })),
      ],
    });
    return choosing(plot, ({ row }) => state.set("item", row));
  });
}

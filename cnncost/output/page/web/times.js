// Timings of a network's layers as bars: each with its spread, its part of the roofline, and all of them beside the whole.

import * as Plot from "@observablehq/plot";
import { byId, html } from "./dom.js";
import { ACCENT, chart, choosing, DIM, HIGH, INK, ON_PAPER } from "./plots.js";

const ROW = 20;
const KINDS = 9; // that have a colour in the sum; the others share one

const margin = (labels, width) => Math.min(0.42 * width, 14 + 6.4 * Math.max(...labels.map((label) => label.length)));

/** What charts of bars have in common: room for the labels on the left, and for words on the right. */
function frame(rows, width) {
  const labels = rows.map((row) => row.label);
  const height = 64 + ROW * rows.length;
  return { width, height, marginLeft: margin(labels, width), marginRight: 74, marginTop: 42, marginBottom: 20 };
}

/** Bars of a layer each; `worth` is of a unit of the values. */
function bars(state, rows, width, { label, value, end = value, marks = [], text, domain }) {
  const chosen = rows.filter((row) => row === state.get("item"));
  const names = new Map(rows.map((row, i) => [row, `${i}`]));
  const y = (row) => names.get(row);
  const fill = (row) => (chosen.includes(row) ? ACCENT : HIGH);
  const plot = Plot.plot({
    ...frame(rows, width),
    x: {
      label,
      axis: "top",
      labelOffset: 36,
      grid: true,
      zero: true,
      ...(domain ? { domain } : {}),
      ticks: Math.max(3, Math.floor(width / 110)),
    },
    y: { domain: rows.map(y), label: null, tickFormat: (i) => rows[i].label, tickSize: 0 },
    marks: [
      Plot.barX(rows, { x: value, y, fill: { value: fill, scale: null }, insetTop: 3, insetBottom: 3 }),
      ...marks.map((mark) => mark(rows, y)),
      Plot.text(rows, {
        x: (row) => (row.timing ? end(row) : 0),
        y,
        text,
        textAnchor: "start",
        dx: 8,
        fill: INK,
        ...ON_PAPER,
      }),
      Plot.tip(rows, Plot.pointerY({ x: value, y, title: (row) => row.lines.join("\n") })),
    ],
  });
  return choosing(plot, (row) => state.set("item", row));
}

/** The rows that charts show: all, or of many those that take longest, in their order. */
function shownRows({ tables, first }, state) {
  const { rows } = tables[state.get("table")];
  const note = byId("layers-note");
  if (note) note.textContent = "";
  if (state.get("every") || rows.length <= first) return rows;
  if (note) note.textContent = `${first} of ${rows.length}: those that take longest`;
  const seconds = (row) => (row.timing ? row.instances * row.timing.median : Infinity);
  const longest = new Set([...rows].sort((a, b) => seconds(b) - seconds(a)).slice(0, first));
  return rows.filter((row) => longest.has(row));
}

/** Time of all layers that a row stands for, with its spread. */
export function timesChart(data, state) {
  const { unit, worth } = data;
  chart("times-chart", state, ["table", "item", "every"], (width) => {
    const rows = shownRows(data, state);
    const of = (row, part) => (row.timing ? (row.instances * row.timing[part]) / worth : 0);
    const timed = rows.filter((row) => row.timing);
    const spread = (_, y) =>
      Plot.ruleY(timed, {
        x1: (row) => of(row, "low"),
        x2: (row) => of(row, "high"),
        y,
        stroke: INK,
        strokeWidth: 1.4,
        marker: "tick",
      });
    const text = (row) => (row.timing ? row.timing.doubts.join(", ") : (row.failure ?? ""));
    return bars(state, rows, width, {
      label: `time of all layers alike (${unit}); thin line: spread`,
      value: (row) => of(row, "median"),
      end: (row) => of(row, "high"),
      marks: [spread],
      text,
    });
  });
}

/** What part of the roofline a layer reaches. */
export function rooflinesChart(data, state) {
  chart("roofline-chart", state, ["table", "item", "every"], (width) => {
    const rows = shownRows(data, state).filter((row) => row.efficiency);
    if (!rows.length) return html("p", {}, "No layer has a place under the roofline.");
    const value = (row) => 100 * row.efficiency;
    const most = Math.max(100, ...rows.map(value));
    const all = () => Plot.ruleX([100], { stroke: ACCENT, strokeDasharray: "4 3" });
    return bars(state, rows, width, {
      label: "least time by the sheet, in % of the time",
      value,
      marks: [all],
      text: (row) => row.timing.doubts.join(", "),
      domain: [0, most],
    });
  });
}

/** Seconds by kind of layer, the largest first; small ones together. */
function byKind(rows, seconds) {
  const kinds = new Map();
  for (const row of rows) kinds.set(row.op, (kinds.get(row.op) ?? 0) + seconds(row));
  return kinds;
}

/** The layers' sum by kind, alone and within the network, and the whole. */
export function wholeChart({ tables, unit, worth }, state) {
  chart("whole-chart", state, ["table"], (width) => {
    const { rows, whole, sum, failure } = tables[state.get("table")];
    const alone = byKind(rows, (row) => (row.timing ? row.instances * row.timing.median : 0));
    const kinds = [...alone].sort((a, b) => b[1] - a[1]).map(([op]) => op);
    const named = kinds.length > KINDS ? kinds.slice(0, KINDS) : kinds;
    const part = (line, found) =>
      [...found].map(([op, seconds]) => ({ line, op: named.includes(op) ? op : "others", time: seconds / worth }));
    const within = rows.some((row) => row.within)
      ? byKind(rows, (row) => row.instances * (row.within ?? 0))
      : new Map();
    const lines = {
      alone: sum === null ? "layers that were timed" : "sum of layers, alone",
      within: "layers, within the network",
      whole: "whole network",
    };
    const parts = [...part(lines.alone, alone), ...part(lines.within, within)];
    const order = [...named, ...(kinds.length > KINDS ? ["others"] : [])];
    const ends = whole ? [{ line: lines.whole, ...whole }] : [];
    if (!parts.length && !ends.length) return html("p", {}, failure ?? "Nothing was timed.");
    const domain = [lines.alone, ...(within.size ? [lines.within] : []), ...(whole ? [lines.whole] : [])];
    return Plot.plot({
      width,
      height: 74 + 34 * domain.length,
      marginLeft: Math.min(180, 0.42 * width),
      marginRight: 20,
      marginTop: 42,
      marginBottom: 20,
      x: {
        label: `time (${unit})`,
        axis: "top",
        labelOffset: 36,
        grid: true,
        zero: true,
        ticks: Math.max(3, Math.floor(width / 110)),
      },
      y: { domain, label: null, tickSize: 0 },
      color: { domain: order, legend: true, scheme: "observable10" },
      marks: [
        Plot.barX(
          parts,
          Plot.stackX({ x: "time", y: "line", fill: "op", order, insetTop: 4, insetBottom: 4, title: (d) => d.op }),
        ),
        Plot.barX(ends, { x: (d) => d.median / worth, y: "line", fill: DIM, insetTop: 4, insetBottom: 4 }),
        Plot.ruleY(ends, {
          x1: (d) => d.low / worth,
          x2: (d) => d.high / worth,
          y: "line",
          stroke: INK,
          strokeWidth: 1.4,
          marker: "tick",
        }),
        Plot.tip(
          ends,
          Plot.pointerY({ x: (d) => d.median / worth, y: "line", title: (d) => [d.text, ...d.doubts].join("\n") }),
        ),
      ],
    });
  });
}

/** The whole of every setting; where there is none, the sum. */
export function settingsChart({ tables, unit, worth }, state) {
  chart("settings-chart", state, ["table"], (width) => {
    const rows = tables.map(({ name, whole, sum, failure }, i) => ({
      i,
      label: name,
      timing: whole ?? (sum === null ? null : { median: sum, low: sum, high: sum, doubts: [] }),
      failure,
      alone: !whole,
    }));
    const timed = rows.filter((row) => row.timing);
    return Plot.plot({
      ...frame(rows, width),
      x: { label: `whole network (${unit})`, axis: "top", labelOffset: 36, grid: true, zero: true },
      y: { domain: rows.map((row) => row.label), label: null, tickSize: 0 },
      marks: [
        Plot.barX(timed, {
          x: (row) => row.timing.median / worth,
          y: "label",
          fill: { value: (row) => (row.i === state.get("table") ? ACCENT : HIGH), scale: null },
          insetTop: 3,
          insetBottom: 3,
        }),
        Plot.ruleY(timed, {
          x1: (row) => row.timing.low / worth,
          x2: (row) => row.timing.high / worth,
          y: "label",
          stroke: INK,
          strokeWidth: 1.4,
          marker: "tick",
        }),
        Plot.text(rows, {
          x: (row) => (row.timing ? row.timing.high / worth : 0),
          y: "label",
          text: (row) =>
            [
              ...(row.timing ? row.timing.doubts : [row.failure ?? "not timed"]),
              ...(row.timing && row.alone ? ["sum of layers"] : []),
            ].join(", "),
          textAnchor: "start",
          dx: 8,
          ...ON_PAPER,
          fill: INK,
        }),
        Plot.tip(
          timed,
          Plot.pointerY({
            x: (row) => row.timing.median / worth,
            y: "label",
            title: (row) => `${row.label}\n${row.timing.text ?? ""}`,
          }),
        ),
      ],
    });
  });
}

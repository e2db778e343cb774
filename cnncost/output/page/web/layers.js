// The page of two networks layer by layer: differences as bars, all layers in a table.

import * as Plot from "@observablehq/plot";
import { byId, embedded, html } from "./dom.js";
import { chooses, keys } from "./fields.js";
import { ACCENT, chart, choosing, HIGH, INK } from "./plots.js";
import { choosingRows } from "./rows.js";
import { State } from "./state.js";

const ROW = 20;

/** The table: rows that are searched, equal ones where they are asked for. */
function table(rows, state) {
  const lines = choosingRows(byId("pair-table"), rows, state, "item");
  const show = () => {
    const words = state.get("words");
    let count = 0;
    for (const [row, line] of lines) {
      const fits = words.every((word) => row.lines.join(" ").toLowerCase().includes(word));
      line.hidden = !fits || (row.change === "equal" && !state.get("equal") && !words.length);
      count += !line.hidden;
    }
    byId("found").textContent = words.length ? `${count} of ${rows.length} layers` : "";
  };
  state.follow(["words", "equal"], show);
  byId("search").addEventListener("input", () =>
    state.set("words", byId("search").value.toLowerCase().split(/\s+/).filter(Boolean)),
  );
}

/** What layers have more or less, in their order. */
function differences(rows, figures, state) {
  chart("difference-chart", state, ["figure", "item"], (width) => {
    const { key, label, worth } = figures.find((figure) => figure.key === state.get("figure"));
    const shown = rows.filter((row) => row.values[key]);
    if (!shown.length) return html("p", {}, "No layer differs in it.");
    const names = new Map(shown.map((row, i) => [row, `${i}`]));
    const value = (row) => row.values[key] / worth;
    const y = (row) => names.get(row);
    const fill = (row) => (row === state.get("item") ? ACCENT : HIGH);
    const longest = Math.max(...shown.map((row) => row.name.length));
    const plot = Plot.plot({
      width,
      height: 64 + ROW * shown.length,
      marginLeft: Math.min(0.45 * width, 14 + 6.4 * longest),
      marginRight: 24,
      marginTop: 42,
      marginBottom: 20,
      x: {
        axis: "top",
        label: `second less first: ${label}`,
        labelOffset: 36,
        grid: true,
        nice: true,
        ticks: Math.max(3, Math.floor(width / 110)),
      },
      y: { domain: shown.map(y), label: null, tickFormat: (i) => shown[i].name, tickSize: 0 },
      marks: [
        Plot.barX(shown, { x: value, y, fill: { value: fill, scale: null }, insetTop: 3, insetBottom: 3 }),
        Plot.ruleX([0], { stroke: INK }),
        Plot.tip(shown, Plot.pointerY({ x: value, y, title: (row) => row.lines.join("\n") })),
      ],
    });
    return choosing(plot, (row) => state.set("item", row));
  });
}

export function layers() {
  const { rows, figures } = embedded("data");
  const state = new State({ item: null, words: [], equal: false, figure: figures[0].key });
  byId("figure").value = figures.at(-1).key;
  chooses("figure", (key) => state.set("figure", key));
  chooses("equal", (equal) => state.set("equal", equal));
  table(rows, state);
  differences(rows, figures, state);
  keys(state, "item");
}

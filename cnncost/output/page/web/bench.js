// The page of timings: layers, their sum beside the whole, settings side by side; or one op over its sizes.

import { byId, embedded, html } from "./dom.js";
import { chooses, keys } from "./fields.js";
import { choosingRows } from "./rows.js";
import { State } from "./state.js";
import { studyChart } from "./study.js";
import { rooflinesChart, settingsChart, timesChart, wholeChart } from "./times.js";

/** The chosen layer, in words. */
function details(state) {
  const pane = byId("chosen-layer");
  const hint = [...pane.childNodes];
  state.follow(["item"], (row) => {
    if (!row) return pane.replaceChildren(...hint);
    const [first, ...lines] = row.lines;
    const close = html("button", { class: "close", "aria-label": "close", click: () => state.set("item", null) }, "×");
    pane.replaceChildren(
      html("h2", {}, row.label, " ", close),
      html("p", {}, first),
      ...lines.map((line) => html("p", { class: line.startsWith("doubts") ? "warning" : null }, line)),
    );
  });
}

/** Fields of a study: over what, and which amount. */
function studied({ study }, state) {
  const field = byId("over");
  field.append(...study.axes.map(({ key, name }) => html("option", { value: key }, name)));
  for (const id of ["over", "over-log", "amount", "amount-log"]) chooses(id, (value) => state.set(id, value));
}

export function bench() {
  const data = embedded("data");
  const state = new State({ item: null, table: 0, every: false });
  chooses("setting", (number) => state.set("table", Number(number)));
  chooses("every", (every) => state.set("every", every));
  const sections = [...document.querySelectorAll(".timed")];
  state.follow(["table"], (number) => sections.forEach((section, i) => (section.hidden = i !== number)));
  sections.forEach((section, i) => choosingRows(section.querySelector("table"), data.tables[i].rows, state, "item"));
  details(state);
  if (data.study) {
    studied(data, state);
    studyChart(data, state);
  } else {
    timesChart(data, state);
    rooflinesChart(data, state);
    wholeChart(data, state);
    settingsChart(data, state);
  }
  keys(state, "item");
}

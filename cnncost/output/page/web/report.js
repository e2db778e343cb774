// The page of one network.

import { Amounts } from "./amounts.js";
import { memoryChart, rooflineChart, sharesChart } from "./charts.js";
import { details } from "./details.js";
import { byId, embedded, unpacked } from "./dom.js";
import { Drawing } from "./draw.js";
import { State } from "./state.js";
import { layerTable, search } from "./table.js";
import { Tree } from "./tree.js";

/** Call a function with what a <select> has, now and whenever it changes; where there is none, never. */
function chooses(id, chosen) {
  const field = byId(id);
  if (!field) return;
  field.addEventListener("change", () => chosen(field.value));
  chosen(field.value);
}

/** The address says which layer is chosen, so that it can be linked to. */
function addressed(tree, state) {
  const named = () => tree.byName.get(decodeURIComponent(location.hash.slice(1)));
  const first = named();
  state.follow(["item"], (item) => {
    if (item) history.replaceState(null, "", `#${encodeURIComponent(item.name)}`);
    else if (named()) history.replaceState(null, "", location.pathname);
  });
  addEventListener("hashchange", () => named() && state.set("item", named()));
  return () => first && state.set("item", first);
}

/** The line of the source that the chosen layer is written in. */
function sourceLine(state) {
  state.follow(["item"], (item) => {
    for (const line of document.querySelectorAll("#source .chosen")) line.classList.remove("chosen");
    if (item?.line) byId(`line-${item.line}`)?.classList.add("chosen");
  });
}

export async function report() {
  const data = embedded("data");
  const network = await unpacked("network");
  const tree = Object.assign(new Tree(network), { ...data, memory: network.memory });
  const state = new State({ item: null, quantity: data.quantities[0].key, device: null, matches: null });
  const chooseFirst = addressed(tree, state);
  new Drawing(tree, state, new Amounts(state, data.quantities));
  chooses("quantity", (key) => state.set("quantity", key));
  const devices = new Map();
  chooses("device", async (number) => {
    if (!devices.has(number)) devices.set(number, unpacked(`device-${number}`));
    state.set("device", await devices.get(number));
  });
  layerTable(tree, state);
  search(tree, state);
  details(tree, state, unpacked("explanations"));
  memoryChart(tree, state);
  rooflineChart(tree, state);
  sharesChart(tree, state);
  sourceLine(state);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") state.set("item", null);
    if (event.key === "/" && !event.target.matches("input, select, textarea")) {
      byId("search").focus();
      event.preventDefault();
    }
  });
  chooseFirst();
}

// The page of one network.

import { Amounts } from "./amounts.js";
import { memoryChart, rooflineChart, sharesChart } from "./charts.js";
import { details } from "./details.js";
import { byId, embedded, html, unpacked } from "./dom.js";
import { Drawing } from "./draw.js";
import { chooses, keys } from "./fields.js";
import { State } from "./state.js";
import { layerTable, search } from "./table.js";
import { Tree } from "./tree.js";

/** The name in an address: #layer=3a.5x5.conv. */
function namedIn(hash) {
  try {
    return decodeURIComponent(hash.match(/^#layer=(.*)$/)?.[1] ?? "");
  } catch {
    return ""; // no name is spelled so
  }
}

/** The address says which layer is chosen, so that it can be linked to. Returns what it says at first. */
function addressed(tree, state) {
  const named = () => tree.byName.get(namedIn(location.hash));
  const first = named();
  state.follow(["item"], (item) => {
    if (item && tree.byName.has(item.name)) history.replaceState(null, "", `#layer=${encodeURIComponent(item.name)}`);
    else if (namedIn(location.hash)) history.replaceState(null, "", location.href.replace(/#.*$/, ""));
  });
  addEventListener("hashchange", () => named() && state.set("item", named()));
  return first;
}

/** The line of the source that the chosen layer is written in. */
function sourceLine(state) {
  state.follow(["item"], (item) => {
    for (const line of document.querySelectorAll("#source .chosen")) line.classList.remove("chosen");
    if (item?.line) byId(`line-${item.line}`)?.classList.add("chosen");
  });
}

/** The graph; where it cannot be laid out, the rest of the page goes on. */
function drawn(tree, state, amounts) {
  try {
    new Drawing(tree, state, amounts);
  } catch (error) {
    byId("graph").replaceChildren(html("p", { class: "warning" }, `The graph cannot be drawn: ${error.message}.`));
  }
}

/** The device that is chosen, as soon as its data is unpacked. */
function devices(state) {
  const known = new Map();
  let wanted = null;
  chooses("device", async (number) => {
    wanted = number;
    if (!known.has(number)) known.set(number, unpacked(`device-${number}`));
    const device = await known.get(number);
    if (wanted === number) state.set("device", device);
  });
}

/** Make the page work. */
export async function report() {
  const data = embedded("data");
  const network = await unpacked("network");
  const tree = Object.assign(new Tree(network), { ...data, memory: network.memory });
  const state = new State({ item: null, quantity: data.quantities[0].key, device: null, matches: null });
  const first = addressed(tree, state);
  drawn(tree, state, new Amounts(state, data.quantities));
  chooses("quantity", (key) => state.set("quantity", key));
  devices(state);
  layerTable(tree, state);
  search(tree, state);
  details(tree, state, unpacked("explanations"));
  memoryChart(tree, state);
  rooflineChart(tree, state);
  sharesChart(tree, state);
  sourceLine(state);
  keys(state, "item");
  if (first) state.set("item", first);
}

// The table of layers, which the search cuts.

import { byId } from "./dom.js";
import { choosingRows } from "./rows.js";

/** The table of layers, tied to what is chosen and searched. */
export function layerTable(tree, state) {
  const rows = choosingRows(byId("layer-table"), tree.nodes, state, "item", (item) => tree.leaves(item));
  state.follow(["matches"], (matches) => {
    for (const [node, row] of rows) row.hidden = Boolean(matches) && !matches.has(node);
    byId("found").textContent = matches ? `${matches.size} of ${rows.size} layers` : "";
  });
  state.follow(["device"], (device) => timesIn(rows, device));
  whenSeen(byId("layers").querySelector(".deferred"), () => state.set("item", state.get("item")));
}

/** Lay out a table that is deferred as soon as it comes into the window. */
function whenSeen(holder, then) {
  if (!holder) return;
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    holder.classList.remove("deferred");
    then();
  });
  observer.observe(holder);
}

/** Put the least times on the chosen device into their column. */
function timesIn(rows, device) {
  if (!device) return;
  byId("whole-time").textContent = device.total;
  for (const [node, row] of rows) {
    const cell = row.querySelector(".time");
    const [seconds, text] = device.layers[node.number];
    cell.dataset.sort = seconds;
    cell.textContent = text;
  }
}

/** The search: layers whose name or kind has the words. Enter chooses the next of them. */
export function search(tree, state) {
  const field = byId("search");
  const layers = tree.nodes.filter((node) => node.role === "layer");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (node) => words.every((word) => `${node.name} ${node.kind}`.toLowerCase().includes(word));
    state.set("matches", words.length ? new Set(layers.filter(fits)) : null);
  });
  field.addEventListener("keydown", (event) => {
    const matches = [...(state.get("matches") ?? [])];
    if (event.key === "Enter" && matches.length)
      state.set("item", matches[(matches.indexOf(state.get("item")) + 1) % matches.length]);
  });
}

// The table of layers: sorted by a click on a heading, cut by the search, its rows choose layers.

import Tablesort from "tablesort";
import { byId } from "./dom.js";

// Numbers are those of data-sort, or what the cell says: 1,161,600, 14.6%, 3x5. What has none comes last.
const numberOf = (text) => (/^[\d.]/.test(text) ? text.replaceAll(",", "").split("x").reduce((product, n) => product * parseFloat(n), 1) : -Infinity);
Tablesort.extend("number", () => false, (a, b) => numberOf(b) - numberOf(a));

/** Let the headings of a table sort it, also by Enter. */
export function sortable(table) {
  const sort = new Tablesort(table, { descending: true });
  for (const heading of table.querySelectorAll("thead th")) {
    heading.tabIndex = 0;
  }
  return sort;
}

/** The table of layers, tied to what is chosen and searched. */
export function layerTable(tree, state) {
  const table = byId("layer-table");
  sortable(table);
  const rows = new Map([...table.tBodies[0].rows].map((row) => [tree.nodes[row.dataset.node], row]));
  const nodes = new Map([...rows].map(([node, row]) => [row, node]));
  const choose = (event) => {
    const node = nodes.get(event.target.closest("tbody tr"));
    if (node) state.set("item", node);
    return node;
  };
  table.addEventListener("click", choose);
  table.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && choose(event)) event.preventDefault();
    const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!next || !nodes.has(event.target)) return;
    let row = event.target[next];
    while (row?.hidden) row = row[next];
    row?.focus();
    event.preventDefault();
  });
  state.follow(["item"], (item) => {
    const inside = new Set(item ? tree.leaves(item) : []);
    for (const [node, row] of rows) row.classList.toggle("chosen", inside.has(node));
    const first = item && rows.get(tree.leaves(item)[0]);
    const holder = byId("layers").querySelector(".scrolled");
    if (first && !holder.contains(document.activeElement)) holder.scrollTop = first.offsetTop - holder.clientHeight / 3;
  });
  state.follow(["matches"], (matches) => {
    for (const [node, row] of rows) row.hidden = Boolean(matches) && !matches.has(node);
    byId("found").textContent = matches ? `${matches.size} of ${rows.size} layers` : "";
  });
  state.follow(["device"], (device) => timesIn(rows, device));
}

/** Put the least times on the chosen device into their column. */
function timesIn(rows, device) {
  if (!device) return;
  for (const [node, row] of rows) {
    const cell = row.querySelector(".time");
    const [seconds, text] = device.layers[node.number];
    cell.dataset.sort = seconds;
    cell.textContent = text;
  }
}

/** The search: layers whose name or kind has the words. */
export function search(tree, state) {
  const field = byId("search");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const layers = tree.nodes.filter((node) => node.role === "layer");
    const fits = (node) => words.every((word) => `${node.name} ${node.kind}`.toLowerCase().includes(word));
    state.set("matches", words.length ? new Set(layers.filter(fits)) : null);
  });
}

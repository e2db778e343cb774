// A table whose rows choose what they stand for: by a click, or by arrows and Enter.

import { sortable } from "./table.js";

/** Tie the rows of a table to items by their data-row. key: of the state, under which the chosen item stands. */
export function choosingRows(table, items, state, key) {
  sortable(table);
  const rows = new Map([...table.tBodies[0].rows].map((row) => [items[row.dataset.row], row]));
  const itemOf = new Map([...rows].map(([item, row]) => [row, item]));
  const choose = (event) => {
    const item = itemOf.get(event.target.closest("tbody tr"));
    if (item) state.set(key, item);
    return item;
  };
  table.addEventListener("click", choose);
  table.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && choose(event)) event.preventDefault();
    const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!next || !itemOf.has(event.target)) return;
    let row = event.target[next];
    while (row?.hidden) row = row[next];
    row?.focus();
    event.preventDefault();
  });
  const holder = table.closest(".scrolled");
  state.follow([key], (chosen) => {
    for (const [item, row] of rows) {
      row.classList.toggle("chosen", item === chosen);
      row.setAttribute("aria-selected", item === chosen);
    }
    const row = rows.get(chosen);
    if (row && !holder.contains(document.activeElement)) holder.scrollTop = row.offsetTop - holder.clientHeight / 3;
  });
  return rows;
}

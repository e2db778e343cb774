// A table whose rows choose what they stand for: by a click, or by arrows and Enter.

import { sortable } from "./sort.js";

/** Move the focus to a row: the only one that Tab reaches. */
function focused(table, row) {
  for (const other of table.querySelectorAll("tbody tr[tabindex='0']")) other.tabIndex = -1;
  row.tabIndex = 0;
  row.focus();
}

/**
 * Tie the rows of a table to items by their data-row.
 *
 * key: of the state, under which the chosen item stands. parts: the items whose rows stand for it.
 */
export function choosingRows(table, items, state, key, parts = (item) => [item]) {
  sortable(table);
  const rows = new Map([...table.tBodies[0].rows].map((row) => [items[row.dataset.row], row]));
  const [first] = rows.values();
  if (first) first.tabIndex = 0;
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
    if (row) focused(table, row);
    event.preventDefault();
  });
  const holder = table.closest(".scrolled");
  state.follow([key], (chosen) => {
    const all = new Set(chosen ? parts(chosen) : []);
    for (const [item, row] of rows) {
      row.classList.toggle("chosen", all.has(item));
      row.setAttribute("aria-selected", all.has(item));
    }
    const row = rows.get([...all].find((item) => rows.has(item)));
    const seen = !holder.classList.contains("deferred"); // which would be laid out to know where the row is
    if (row && seen && !holder.contains(document.activeElement))
      holder.scrollTop = row.offsetTop - holder.clientHeight / 3;
  });
  return rows;
}

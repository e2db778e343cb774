// Tables that are sorted by a click on a heading, or by Enter on it.

import Tablesort from "tablesort";

/** What a cell counts as: its data-sort, or what it says: 1,161,600, 14.6%; of 96x55x55 the product. Nothing is least. */
function numberOf(text) {
  if (!/^[\d.]/.test(text)) return -Infinity;
  return text
    .replaceAll(",", "")
    .split("x")
    .reduce((product, n) => product * parseFloat(n), 1);
}

const byNumber = (a, b) => (numberOf(a) === numberOf(b) ? 0 : numberOf(b) - numberOf(a));
const byText = (a, b) => b.localeCompare(a, "en", { numeric: true });

Tablesort.extend("number", () => false, byNumber);
Tablesort.extend("text", () => false, byText);

/** Let the headings of a table sort it: numbers from the largest at first, texts from A. */
export function sortable(table) {
  for (const heading of table.querySelectorAll("thead th")) {
    heading.dataset.sortMethod ??= "text";
    const fromA = () => {
      const first = !heading.hasAttribute("aria-sort") && heading.dataset.sortMethod === "text";
      if (first) heading.setAttribute("aria-sort", "descending"); // which the click turns round
    };
    heading.addEventListener("click", fromA, { capture: true });
    heading.addEventListener("keydown", (event) => event.key === "Enter" && fromA(), { capture: true });
  }
  return new Tablesort(table, { descending: true });
}

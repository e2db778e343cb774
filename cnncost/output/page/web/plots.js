// What charts have in common: their colours, when they are drawn, and how a click chooses.

import { byId } from "./dom.js";

export const HEIGHT = 300;
export const [INK, DIM, PAPER, HIGH, ACCENT] = ["ink", "dim", "paper", "high", "accent"].map(
  (name) => `var(--${name})`,
); // of style.css
export const ON_PAPER = { stroke: PAPER, strokeWidth: 3 }; // around text that stands over lines

/** A count as a text. */
export function grouped(count) {
  return count.toLocaleString("en");
}

/** Of a logarithmic axis: ticks as plain numbers, for the label has the unit. */
export function logTicks(log) {
  return log ? { tickFormat: "~f" } : {};
}

/** Draw a chart into a figure, again when its width changes and when what it follows does. */
export function chart(id, state, keys, drawn) {
  const holder = byId(id);
  if (!holder) return;
  let width = 0;
  const draw = () => {
    if (width) holder.replaceChildren(...[drawn(width)].flat().filter(Boolean));
    for (const plot of holder.querySelectorAll("svg")) {
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", holder.closest("section")?.querySelector("h2")?.textContent ?? "chart");
    }
  };
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now === width) return;
    width = now;
    draw();
  }).observe(holder);
  state.follow(keys, draw);
}

/** Let a click on a plot choose what is nearest to the pointer. */
export function choosing(plot, choose) {
  plot.addEventListener("click", () => plot.value && choose(plot.value));
  plot.style.cursor = "pointer";
  return plot;
}

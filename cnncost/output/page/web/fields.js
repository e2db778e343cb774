// Fields above charts: what they hold, told whenever it changes.

import { byId } from "./dom.js";

/** Call a function with what a field has, now and whenever it changes; where there is none, never. */
export function chooses(id, chosen) {
  const field = byId(id);
  if (!field) return;
  const value = () => (field.type === "checkbox" ? field.checked : field.value);
  field.addEventListener(field.type === "range" ? "input" : "change", () => chosen(value()));
  chosen(value());
}

/** Let a field hold a value, as if it had been chosen. */
export function put(id, value) {
  const field = byId(id);
  if (!field) return;
  if (field.type === "checkbox") field.checked = value;
  else field.value = value;
  field.dispatchEvent(new Event(field.type === "range" ? "input" : "change"));
}

/** The keys of a page: / goes to the search, Escape lets go of what is chosen. */
export function keys(state, key) {
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") state.set(key, null);
    if (
      event.key === "/" &&
      !event.ctrlKey &&
      !event.metaKey &&
      byId("search") &&
      !event.target.matches("input, select, textarea")
    ) {
      byId("search").focus();
      event.preventDefault();
    }
  });
}

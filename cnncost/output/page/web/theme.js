// Light, dark, or as the system is. The choice is kept where the browser lets a file keep something.

import { byId } from "./dom.js";

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const KEY = "cnncost-theme";

function kept() {
  try {
    const theme = localStorage.getItem(KEY);
    return theme in NEXT ? theme : "auto";
  } catch {
    return "auto"; // no storage for files
  }
}

function keep(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // the choice lasts as long as the page
  }
}

/** Let the button go through the themes. */
export function themes() {
  const button = byId("theme");
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `theme: ${theme}`;
  };
  show(kept());
  button.addEventListener("click", () => {
    const theme = NEXT[document.documentElement.dataset.theme];
    keep(theme);
    show(theme);
  });
}

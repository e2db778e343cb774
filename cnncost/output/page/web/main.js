// Which page this is, and what makes it work.

import { compare } from "./compare.js";
import { report } from "./report.js";
import { themes } from "./theme.js";

const PAGES = { compare, report };

themes();
Promise.resolve(PAGES[document.body.dataset.page]()).then(() => {
  document.body.dataset.ready = "true";
});

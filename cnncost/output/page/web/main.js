// Which page this is, and what makes it work.

import { report } from "./report.js";
import { themes } from "./theme.js";

const PAGES = { report };

themes();
Promise.resolve(PAGES[document.body.dataset.page]()).then(() => {
  document.body.dataset.ready = "true";
});

// Which page this is, and what makes it work.

import { report } from "./report.js";
import { themes } from "./theme.js";

const PAGES = { report };

themes();
PAGES[document.body.dataset.page]();
document.body.dataset.ready = "true";

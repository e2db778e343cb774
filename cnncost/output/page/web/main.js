// Which page this is, and what makes it work.

import { bench } from "./bench.js";
import { compare } from "./compare.js";
import { byId, html } from "./dom.js";
import { layers } from "./layers.js";
import { report } from "./report.js";
import { sweep } from "./sweep.js";
import { themes } from "./theme.js";

const PAGES = { bench, compare, layers, report, sweep };

themes();
Promise.resolve(PAGES[document.body.dataset.page]())
  .then(() => {
    document.body.dataset.ready = "true";
  })
  .catch((error) => {
    const told = `This browser cannot draw the page (${error.message}). The tables are whole.`;
    byId("main").prepend(html("p", { class: "warning" }, told));
    throw error;
  });

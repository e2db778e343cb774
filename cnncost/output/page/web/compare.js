// The page of several networks: their map and their table, tied to what is chosen and searched.

import { byId, embedded, html } from "./dom.js";
import { chooses, keys, put } from "./fields.js";
import { networkMap } from "./map.js";
import { choosingRows } from "./rows.js";
import { State } from "./state.js";

/** The table: rows that are searched, and the members of the map's front marked. */
function table(networks, state) {
  const rows = choosingRows(byId("network-table"), networks, state, "item");
  state.follow(["matches"], (matches) => {
    for (const [network, row] of rows) row.hidden = Boolean(matches) && !matches.has(network);
    byId("found").textContent = matches ? `${matches.size} of ${rows.size} networks` : "";
  });
  state.follow(["front"], (members) => {
    for (const [network, row] of rows) row.classList.toggle("front", members.has(network));
  });
  chooses("all", (all) => byId("network-table").classList.toggle("whole", all));
}

function search(networks, state) {
  const field = byId("search");
  const text = new Map(networks.map((n) => [n, `${n.name} ${n.network} ${n.family}`.toLowerCase()]));
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = networks.filter((network) => words.every((word) => text.get(network).includes(word)));
    state.set("matches", words.length ? new Set(found) : null);
  });
}

/** The chosen network in full: figures, ratios, how its errors were measured, its command. */
function details(axes, state) {
  const pane = byId("chosen");
  const hint = [...pane.childNodes];
  const show = () => {
    const network = state.get("item");
    if (!network) return pane.replaceChildren(...members(state), ...hint);
    const figures = axes
      .filter(({ key }) => key in network.texts)
      .flatMap(({ key, name }) => {
        const ratio = network.ratios[key];
        return [
          html("dt", {}, name),
          html("dd", {}, network.texts[key], ratio ? html("span", { class: "dim" }, ` ${ratio}`) : null),
        ];
      });
    const fact = ([figure, how]) => html("li", {}, html("b", {}, figure), ` ${how}`);
    pane.replaceChildren(
      html(
        "h2",
        {},
        network.network,
        " ",
        html("button", { class: "close", "aria-label": "close", click: () => state.set("item", null) }, "×"),
      ),
      html("p", { class: "dim" }, network.title),
      html(
        "dl",
        {},
        html("dt", {}, "name"),
        html("dd", {}, network.name),
        network.family ? html("dt", {}, "family") : null,
        network.family ? html("dd", {}, network.family) : null,
        html("dt", {}, "input"),
        html("dd", {}, network.input),
        ...figures,
      ),
      ...(network.error
        ? [html("p", {}, "Errors here: ", network.error, ".")]
        : [html("p", { class: "dim" }, "No published error is known.")]),
      ...(network.facts.length > 1
        ? [html("details", {}, html("summary", {}, "all published errors"), html("ul", {}, ...network.facts.map(fact)))]
        : []),
      ...network.notes.map((note) => html("p", { class: "warning" }, note)),
      html("p", {}, "Its report: ", html("code", {}, network.command)),
    );
    pane.scrollTop = 0;
  };
  state.follow(["item", "front"], show);
}

/** The members of the front, where nothing is chosen. */
function members(state) {
  const { front, axes } = { front: state.get("front"), axes: state.get("axes") };
  if (!front.size) return [];
  const row = (network) =>
    html(
      "tr",
      {},
      html("td", {}, html("button", { class: "link", click: () => state.set("item", network) }, network.network)),
      ...[axes.x, axes.y].map(({ key }) => html("td", { class: "number" }, network.texts[key])),
    );
  const head = html("tr", {}, html("th"), ...[axes.x, axes.y].map(({ name }) => html("th", { class: "number" }, name)));
  return [
    html("h2", {}, "on the front"),
    html("table", { class: "listed" }, html("thead", {}, head), html("tbody", {}, ...[...front].map(row))),
  ];
}

export function compare() {
  const { axes, networks, first, tested } = embedded("data");
  const state = new State({
    item: null,
    matches: null,
    front: new Set(),
    axes: null,
    x: first.x,
    y: first.y,
    area: first.area,
    "x-log": true,
    "y-log": false,
    tested: "",
  });
  const byKey = new Map(axes.map((axis) => [axis.key, axis]));
  for (const id of ["x", "y", "area"]) byId(id).value = first[id];
  if (tested.length) byId("tested").value = tested[0].key;
  for (const id of ["x-log", "y-log", "area", "tested"]) chooses(id, (value) => state.set(id, value));
  for (const id of ["x", "y"]) {
    chooses(id, (key) => {
      put(`${id}-log`, byKey.get(key).log);
      state.set(id, key);
    });
  }
  table(networks, state);
  search(networks, state);
  details(axes, state);
  networkMap(byKey, networks, state);
  keys(state, "item");
}

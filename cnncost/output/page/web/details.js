// What is chosen, in full: a layer's figures and formulas, or what a block comes to.

import { Amounts } from "./amounts.js";
import { byId, html } from "./dom.js";

const LARGEST = 10; // layers that are listed where none is chosen

/** Show the chosen item beside the graph. explained: a promise of all explanations. */
export function details(tree, state, explained) {
  const pane = byId("details");
  const hint = [...pane.childNodes];
  const amounts = new Amounts(state, tree.quantities);
  let known = null;
  const show = () => {
    const item = state.get("item");
    const within = pane.contains(document.activeElement); // what is focused goes: its heading takes the focus over
    pane.replaceChildren(
      ...(item ? told(tree, state, item, known, amounts) : [...largest(tree, state, amounts), ...hint]),
    );
    pane.scrollTop = 0;
    if (within) pane.querySelector("h2").focus();
  };
  state.follow(["item", "device", "quantity"], show);
  explained.then((found) => {
    known = found;
    show();
  });
}

/** All that is known of an item. */
function told(tree, state, item, known, amounts) {
  const close = html("button", { class: "close", "aria-label": "close", click: () => state.set("item", null) }, "×");
  const kind =
    item.role === "layer" ? item.kind : [item.role, item.children ? item.kind : null].filter(Boolean).join(", ");
  return [
    html("h2", { tabindex: -1 }, item.name, " ", close),
    html("p", { class: "about" }, kind),
    figures(tree, item, state.get("device")),
    ...(item.role === "layer" ? formulas(known, item) : item.children ? inside(item, state, amounts) : []),
  ];
}

/** The layers with most of the chosen quantity, where none is chosen. */
function largest(tree, state, amounts) {
  const { name } = tree.quantities.find(({ key }) => key === state.get("quantity"));
  const layers = tree.nodes.filter((node) => amounts.value(node)).sort((a, b) => amounts.value(b) - amounts.value(a));
  const row = (node) =>
    html(
      "tr",
      {},
      html("td", {}, html("button", { class: "link", click: () => state.set("item", node) }, node.name)),
      html("td", { class: "number" }, amounts.text(node)),
      html(
        "td",
        { class: "bar" },
        html("i", { style: `width: ${(100 * amounts.value(node)) / amounts.value(layers[0])}%` }),
      ),
    );
  const heading = html("h2", { tabindex: -1 }, `most ${name}`);
  if (!layers.length) return [heading, html("p", {}, "No layer has any.")];
  return [heading, html("table", { class: "largest" }, html("tbody", {}, ...layers.slice(0, LARGEST).map(row)))];
}

function figures(tree, item, device) {
  const rows = [];
  const add = (name, text) => text && rows.push(html("dt", {}, name), html("dd", {}, text));
  if (item.inputs?.length)
    add("from", item.inputs.map((i) => `${tree.nodes[i].name} (${tree.nodes[i].shape})`).join(", "));
  add("output", item.shape);
  for (const { key, name } of tree.quantities) add(name, item.texts?.[key]);
  const [seconds, text, bound] = device?.[item.children ? "blocks" : "layers"][item.number] ?? [];
  if (text) add(`least time, ${device.name}`, `${text}, ${bound}`);
  for (const [name, value] of item.more ?? []) add(name, value);
  return html("dl", {}, ...rows);
}

function formulas(known, item) {
  if (!known) return [html("p", { class: "dim" }, "…")];
  const { about, equations, beside, notes } = known.texts[known.layers[item.number]];
  const row = ([quantity, symbols, numbers, value, note]) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, quantity),
      html(
        "td",
        {},
        symbols ? html("div", { class: "symbols" }, symbols) : null,
        html(
          "div",
          {},
          numbers && numbers !== value ? `${numbers} = ` : "",
          html("b", {}, value),
          note ? html("span", { class: "dim" }, `  ${note}`) : null,
        ),
      ),
    );
  return [
    html("p", {}, about),
    html("table", { class: "formulas" }, html("tbody", {}, ...equations.map(row))),
    ...(beside.length ? [besides(beside)] : []),
    ...notes.map((note) => html("p", { class: "dim" }, note)),
    html("p", { class: "dim" }, known.legend),
  ];
}

/** Layers of other connections with the same input and output. */
function besides(rows) {
  const head = html(
    "tr",
    {},
    ...["beside", "weights", "MACs", "times the MACs"].map((text) => html("th", { scope: "col" }, text)),
  );
  return html(
    "table",
    { class: "besides" },
    html("thead", {}, head),
    html(
      "tbody",
      {},
      ...rows.map(([name, ...cells]) =>
        html("tr", {}, html("th", { scope: "row" }, name), ...cells.map((text) => html("td", {}, text))),
      ),
    ),
  );
}

/** The parts of a block, each with the chosen quantity. */
function inside(item, state, amounts) {
  const entry = (child) =>
    html(
      "li",
      {},
      html("button", { class: "link", click: () => state.set("item", child) }, child.label),
      ` ${[child.kind, amounts.words(child)].filter(Boolean).join(", ")}`,
    );
  return [html("h3", {}, "in it"), html("ol", { class: "inside" }, ...item.children.map(entry))];
}

// The network drawn: nodes coloured by a quantity, blocks that open and fold, tensors with their shapes.

import { curveMonotoneY, line } from "d3-shape";
import { byId, svg } from "./dom.js";
import { arrange } from "./layout.js";
import { visible } from "./tree.js";
import { View } from "./view.js";

const PADDING = 10;
const LINE = 16;
const LEAST_WIDTH = 96;
const MUCH = 0.3; // of the largest, from which on dim text would not be legible
const path = line(
  (p) => p.x,
  (p) => p.y,
).curve(curveMonotoneY);

/** Widths of texts in the page's fonts, each measured once. */
function ruler() {
  const context = document.createElement("canvas").getContext("2d");
  const family = getComputedStyle(document.body).fontFamily;
  const known = new Map();
  return (text, font) => {
    const key = `${font}|${text}`;
    if (!known.has(key)) {
      context.font = `${font} ${family}`;
      known.set(key, context.measureText(text).width);
    }
    return known.get(key);
  };
}

/** The graph of the network, in the element with the id graph. */
export class Drawing {
  #tree;
  #state;
  #amounts;
  #pane = byId("graph");
  #view = new View(this.#pane);
  #elements = new Map();
  #measured = ruler();

  /** amounts: what nodes are coloured by: values and texts of an item, see amounts.js. */
  constructor(tree, state, amounts) {
    this.#tree = tree;
    this.#state = state;
    this.#amounts = amounts;
    this.draw();
    this.#view.fit(this.#inputAt());
    state.follow(["quantity", "device"], () => this.paint());
    state.follow(["item"], (item) => this.#choose(item));
    state.follow(["matches"], () => this.#dim());
    this.#pane.addEventListener("click", (event) => this.#clicked(event));
    this.#pane.addEventListener("keydown", (event) => this.#pressed(event));
    this.#buttons();
    this.#prints();
  }

  /** Lay out and draw all that is shown. */
  draw() {
    const size = arrange(
      this.#tree,
      (item) => this.#size(item),
      (text) => this.#measured(text, "11px") + 10,
    );
    this.#elements.clear();
    const tip = { viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" };
    const arrow = svg("marker", { id: "arrow", ...tip }, svg("path", { d: "M0 0L8 4L0 8z", class: "arrow" }));
    const about = { viewBox: `0 0 ${size.width} ${size.height}`, role: "tree", "aria-label": "the network as a graph" };
    this.#view.show(svg("svg", about, svg("defs", {}, arrow), ...this.#inside(this.#tree.root)), size);
    this.paint();
    this.#mark(this.#state.get("item"));
    this.#dim();
  }

  /** Fill nodes by the chosen quantity: from its base, which is nothing mostly, to the largest that is shown. */
  paint() {
    const base = this.#amounts.base;
    const shown = this.#tree.shown();
    const values = shown.map((item) => Math.max(0, (this.#amounts.value(item) ?? 0) - base.value));
    const largest = values.reduce((a, b) => Math.max(a, b), 0);
    for (const [i, item] of shown.entries()) {
      const { element, amount } = this.#elements.get(item);
      const share = largest ? values[i] / largest : 0;
      element.style.setProperty("--share", `${100 * share}%`);
      element.classList.toggle("much", share > MUCH);
      const text = this.#amounts.words(item);
      amount.textContent = text ? `${item.kind}, ${text}` : item.kind;
      element.setAttribute("aria-label", `${item.name}, ${amount.textContent}`);
    }
    byId("least").textContent = base.text;
    byId("most").textContent = largest ? this.#amounts.words(shown[values.indexOf(largest)]) : "nothing";
  }

  /** Width and height of a node; of an open block the least, with room for its name left of what enters. */
  #size(item) {
    if (item.open) return { width: 2 * (this.#measured(`▾ ${item.label}`, "600 13px") + 2 * PADDING), height: 0 };
    const amount = this.#amounts.widest(item);
    const texts = [
      [`▸ ${item.label}`, "600 13px"],
      [amount ? `${item.kind}, ${amount}` : item.kind, "11px"],
    ];
    const width = Math.max(LEAST_WIDTH, ...texts.map(([text, font]) => this.#measured(text ?? "", font)));
    return { width: Math.ceil(width) + 2 * PADDING, height: 2 * LINE + PADDING };
  }

  /** Tensors, then nodes and open blocks, in front of them. */
  #inside(group) {
    const tensors = [...group.links.values()];
    const tip = (each) => (each.to && !each.to.open ? "url(#arrow)" : null);
    const shape = (each) => svg("text", { x: each.at.x, y: each.at.y + 4, class: "shape" }, each.label);
    return [
      ...tensors.map((each) => svg("path", { d: path(each.points), class: "tensor", "marker-end": tip(each) })),
      ...group.children.map((item) => (item.open ? this.#block(item) : this.#node(item))),
      ...tensors.filter((each) => each.label).map(shape),
    ];
  }

  #element(item, kind, expanded, ...children) {
    const place = { class: kind, transform: `translate(${item.box.x} ${item.box.y})`, "data-id": item.id };
    const about = { role: "treeitem", tabindex: -1, "aria-expanded": expanded, "aria-level": depth(item) };
    const element = svg("g", { ...place, ...about }, ...children);
    this.#elements.set(item, { element });
    return element;
  }

  #block(item) {
    const { width, height } = item.box;
    const element = this.#element(
      item,
      "group",
      "true",
      svg("rect", { width, height, rx: 8, class: "frame" }),
      svg("rect", { width, height: 24, rx: 8, class: "handle" }),
      svg("text", { x: PADDING, y: 17, class: "name" }, `▾ ${item.label}`),
      svg("g", { role: "group" }, ...this.#inside(item)),
    );
    element.setAttribute("aria-label", `${item.name}, ${item.kind}`);
    return element;
  }

  #node(item) {
    const { width, height } = item.box;
    const folded = item.role === "block";
    const name = svg("text", { x: width / 2, y: PADDING + 8, class: "name" }, `${folded ? "▸ " : ""}${item.label}`);
    const amount = svg("text", { x: width / 2, y: PADDING + 8 + LINE, class: "kind" });
    const element = this.#element(
      item,
      `node ${item.role}`,
      folded ? "false" : null,
      folded ? svg("rect", { x: 3, y: 3, width, height, rx: 6, class: "behind" }) : null,
      svg("rect", { width, height, rx: 6, class: "box" }),
      name,
      amount,
    );
    this.#elements.get(item).amount = amount;
    return element;
  }

  #item(element) {
    const id = element?.closest?.("[data-id]")?.dataset.id;
    return id && (id[0] === "b" ? this.#tree.blocks[id.slice(1)] : this.#tree.nodes[id.slice(1)]);
  }

  #clicked(event) {
    const item = this.#item(event.target);
    if (!item || this.#pane.classList.contains("dragged")) return;
    if (item.role === "block" && (!item.open || event.target.matches(".handle"))) this.#toggle(item);
    this.#state.set("item", item);
  }

  /** Open or fold a block, whose upper side stays where it is. */
  #toggle(item) {
    const before = this.#elements.get(item)?.element.getBoundingClientRect();
    item.open = !item.open;
    this.draw();
    if (before) this.#view.hold(this.#elements.get(item).element, before);
    this.#focus(item);
  }

  #fold(open) {
    if (open) this.#tree.setAll(true);
    else this.#tree.openFirst();
    this.draw();
    const item = this.#state.get("item");
    if (item) this.#view.into(this.#elements.get(visible(item)).element);
    else this.#view.centre(this.#inputAt());
  }

  #buttons() {
    const actions = {
      unfold: () => this.#fold(true),
      fold: () => this.#fold(false),
      larger: () => this.#view.zoom(1),
      smaller: () => this.#view.zoom(-1),
      fit: () => this.#view.fit(this.#inputAt()),
    };
    for (const [id, act] of Object.entries(actions)) byId(id).addEventListener("click", act);
    byId("unfold").hidden = byId("fold").hidden = !this.#tree.blocks.length;
  }

  /** Paper has the graph as it is folded at first: a page is not as long as a network. */
  #prints() {
    let open = [];
    addEventListener("beforeprint", () => {
      open = this.#tree.blocks.filter((block) => block.open);
      this.#tree.openFirst();
      this.draw();
    });
    addEventListener("afterprint", () => {
      this.#tree.setAll(false);
      for (const block of open) block.open = true;
      this.draw();
    });
  }

  /** Arrows go from item to item, Enter and space choose one, and open or fold a block. */
  #pressed(event) {
    const here = this.#item(document.activeElement);
    const order = this.#tree.items();
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (step) {
      const next = here ? order[order.indexOf(here) + step] : order[0];
      if (next) this.#focus(next);
    } else if (here && (event.key === "Enter" || event.key === " ")) {
      if (here.role === "block") this.#toggle(here);
      this.#state.set("item", here);
    } else return;
    event.preventDefault();
  }

  #focus(item) {
    const { element } = this.#elements.get(item) ?? {};
    if (!element) return;
    for (const other of this.#pane.querySelectorAll("[tabindex='0']")) other.setAttribute("tabindex", -1);
    element.setAttribute("tabindex", 0);
    element.focus({ preventScroll: true });
    this.#view.into(element);
  }

  /** Show what was chosen, here or elsewhere: blocks around it are opened. */
  #choose(item) {
    if (item && this.#tree.reveal(item)) this.draw();
    else this.#mark(item);
    const found = item && this.#elements.get(item);
    if (found) this.#view.into(found.element);
  }

  #mark(item) {
    for (const { element } of this.#elements.values()) {
      element.classList.remove("chosen");
      element.removeAttribute("aria-selected");
    }
    const found = item && this.#elements.get(visible(item))?.element;
    found?.classList.add("chosen");
    found?.setAttribute("aria-selected", "true");
  }

  #dim() {
    const matches = this.#state.get("matches");
    for (const item of this.#tree.shown()) {
      const found = !matches || this.#tree.leaves(item).some((leaf) => matches.has(leaf));
      this.#elements.get(item).element.classList.toggle("dimmed", !found);
    }
  }

  /** Where the network's input is, from the left. */
  #inputAt() {
    const { x, width } = this.#tree.root.children[0].box;
    return x + width / 2;
  }
}

/** How many open blocks an item is in, and one. */
function depth(item) {
  return item.parent === null ? 0 : 1 + depth(item.parent);
}

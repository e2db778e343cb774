// The network drawn: nodes coloured by a quantity, blocks that open and fold, tensors with their shapes.

import { curveMonotoneY, line } from "d3-shape";
import { byId, svg } from "./dom.js";
import { arrange } from "./layout.js";
import { visible } from "./tree.js";

const PADDING = 10;
const LINE = 16;
const LEAST_WIDTH = 96;
const SCALES = [0.25, 0.35, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2];
const path = line((p) => p.x, (p) => p.y).curve(curveMonotoneY);

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
  #elements = new Map();
  #measured = ruler();
  #scale = 1;

  /** amounts: what nodes are coloured by: values and texts of an item, see amounts.js. */
  constructor(tree, state, amounts) {
    this.#tree = tree;
    this.#state = state;
    this.#amounts = amounts;
    this.draw();
    this.#fit();
    state.follow(["quantity", "device"], () => this.paint());
    state.follow(["item"], (item) => this.#choose(item));
    state.follow(["matches"], () => this.#dim());
    this.#pane.addEventListener("click", (event) => this.#clicked(event));
    this.#pane.addEventListener("keydown", (event) => this.#pressed(event));
    byId("unfold").addEventListener("click", () => this.#fold(true));
    byId("fold").addEventListener("click", () => this.#fold(false));
    byId("larger").addEventListener("click", () => this.#zoom(1));
    byId("smaller").addEventListener("click", () => this.#zoom(-1));
    byId("fit").addEventListener("click", () => this.#fit());
  }

  /** Lay out and draw all that is shown. */
  draw() {
    const kept = [this.#pane.scrollLeft, this.#pane.scrollTop];
    const size = arrange(this.#tree, (item) => this.#size(item), (text) => this.#measured(text, "11px") + 10);
    this.#elements.clear();
    this.size = size;
    const arrow = svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
      svg("path", { d: "M0 0L8 4L0 8z", class: "arrow" }));
    const drawing = svg("svg", { viewBox: `0 0 ${size.width} ${size.height}`, role: "tree", "aria-label": "the network as a graph" },
      svg("defs", {}, arrow), ...this.#inside(this.#tree.root));
    this.#pane.replaceChildren(drawing);
    this.#resize();
    this.paint();
    this.#mark(this.#state.get("item"));
    this.#dim();
    [this.#pane.scrollLeft, this.#pane.scrollTop] = kept;
  }

  /** Fill nodes by the chosen quantity, as parts of the largest that is shown. */
  paint() {
    const shown = this.#tree.shown();
    const values = shown.map((item) => this.#amounts.value(item) ?? 0);
    const largest = values.reduce((a, b) => Math.max(a, b), 0);
    for (const [i, item] of shown.entries()) {
      const { element, amount } = this.#elements.get(item);
      element.style.setProperty("--share", largest ? `${(100 * values[i]) / largest}%` : "0%");
      element.classList.toggle("much", largest > 0 && values[i] > 0.6 * largest);
      const text = this.#amounts.words(item);
      amount.textContent = text ? `${item.kind}, ${text}` : item.kind;
    }
    byId("most").textContent = largest ? this.#amounts.words(shown[values.indexOf(largest)]) : "nothing";
  }

  #size(item) {
    if (item.open) return { width: 2 * (this.#measured(`▾ ${item.label}`, "600 13px") + 2 * PADDING), height: 0 }; // the name is left of what enters
    const amount = this.#amounts.widest(item);
    const texts = [[`▸ ${item.label}`, "600 13px"], [amount ? `${item.kind}, ${amount}` : item.kind, "11px"]];
    const width = Math.max(LEAST_WIDTH, ...texts.map(([text, font]) => this.#measured(text ?? "", font)));
    return { width: Math.ceil(width) + 2 * PADDING, height: 2 * LINE + PADDING };
  }

  /** Tensors, then nodes and open blocks, in front of them. */
  #inside(group) {
    const tensors = [...group.links.values()];
    return [
      ...tensors.map((each) => svg("path", { d: path(each.points), class: "tensor", "marker-end": each.to && !each.to.open ? "url(#arrow)" : null })),
      ...group.children.map((item) => (item.open ? this.#block(item) : this.#node(item))),
      ...tensors.filter((each) => each.label).map((each) =>
        svg("text", { x: each.at.x, y: each.at.y + 4, class: "shape" }, each.label)),
    ];
  }

  #element(item, kind, more, ...children) {
    const element = svg("g", { class: kind, transform: `translate(${item.box.x} ${item.box.y})`, role: "treeitem", tabindex: -1,
      "data-id": item.id, ...more }, ...children);
    this.#elements.set(item, { element });
    return element;
  }

  #block(item) {
    const { width, height } = item.box;
    return this.#element(item, "group", { "aria-expanded": "true", "aria-label": `${item.name}, ${item.kind}` },
      svg("rect", { width, height, rx: 8, class: "frame" }),
      svg("rect", { width, height: 24, rx: 8, class: "handle" }),
      svg("text", { x: PADDING, y: 17, class: "name" }, `▾ ${item.label}`),
      ...this.#inside(item));
  }

  #node(item) {
    const { width, height } = item.box;
    const folded = item.role === "block";
    const name = svg("text", { x: width / 2, y: PADDING + 8, class: "name" }, `${folded ? "▸ " : ""}${item.label}`);
    const amount = svg("text", { x: width / 2, y: PADDING + 8 + LINE, class: "kind" });
    const element = this.#element(item, `node ${item.role}`, { "aria-expanded": folded ? "false" : null, "aria-label": `${item.name}, ${item.kind}` },
      folded ? svg("rect", { x: 3, y: 3, width, height, rx: 6, class: "behind" }) : null,
      svg("rect", { width, height, rx: 6, class: "box" }), name, amount);
    this.#elements.get(item).amount = amount;
    return element;
  }

  #item(element) {
    const id = element?.closest?.("[data-id]")?.dataset.id;
    return id && (id[0] === "b" ? this.#tree.blocks[id.slice(1)] : this.#tree.nodes[id.slice(1)]);
  }

  #clicked(event) {
    const item = this.#item(event.target);
    if (!item) return;
    if (item.role === "block" && (!item.open || event.target.closest(".handle, .name"))) this.#toggle(item);
    this.#state.set("item", item);
  }

  #toggle(item) {
    item.open = !item.open;
    this.draw();
    this.#focus(item);
  }

  #fold(open) {
    if (open) this.#tree.setAll(true);
    else this.#tree.openFirst();
    this.draw();
    this.#centre();
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
    this.#into(element);
  }

  #into(element) {
    const [pane, box] = [this.#pane.getBoundingClientRect(), element.getBoundingClientRect()];
    if (box.top < pane.top || box.bottom > pane.bottom) this.#pane.scrollTop += box.top - pane.top - (pane.height - Math.min(box.height, pane.height)) / 2;
    if (box.left < pane.left || box.right > pane.right) this.#pane.scrollLeft += box.left - pane.left - (pane.width - Math.min(box.width, pane.width)) / 2;
  }

  /** Show what was chosen, here or elsewhere: blocks around it are opened. */
  #choose(item) {
    if (item && this.#tree.reveal(item)) this.draw();
    else this.#mark(item);
    const found = item && this.#elements.get(item);
    if (found) this.#into(found.element);
  }

  #mark(item) {
    for (const { element } of this.#elements.values()) element.classList.remove("chosen");
    if (item) this.#elements.get(visible(item))?.element.classList.add("chosen");
  }

  #dim() {
    const matches = this.#state.get("matches");
    for (const item of this.#tree.shown()) {
      const found = !matches || this.#tree.leaves(item).some((leaf) => matches.has(leaf));
      this.#elements.get(item).element.classList.toggle("dimmed", !found);
    }
  }

  #zoom(by) {
    const next = by > 0 ? SCALES.find((s) => s > this.#scale + 0.001) : SCALES.findLast((s) => s < this.#scale - 0.001);
    const middle = (this.#pane.scrollLeft + this.#pane.clientWidth / 2) / this.#scale;
    this.#scale = next ?? this.#scale;
    this.#resize();
    this.#pane.scrollLeft = middle * this.#scale - this.#pane.clientWidth / 2;
  }

  /** As large as the width allows, and no larger than life. */
  #fit() {
    this.#scale = Math.min(1, Math.max(0.35, (this.#pane.clientWidth - 4) / this.size.width));
    this.#resize();
    this.#centre();
  }

  /** The network's input in the middle. */
  #centre() {
    const { x, width } = this.#tree.root.children[0].box;
    this.#pane.scrollLeft = (x + width / 2) * this.#scale - this.#pane.clientWidth / 2;
  }

  #resize() {
    const drawing = this.#pane.firstElementChild;
    drawing.setAttribute("width", this.size.width * this.#scale);
    drawing.setAttribute("height", this.size.height * this.#scale);
  }
}

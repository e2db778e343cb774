// The network as a tree of blocks, and which of them are open.

const SHOWN_AT_MOST = 40; // nodes that are shown at first, where opening more blocks would exceed them

/**
 * Nodes and blocks of the page's data as a tree.
 *
 * An item is a node (an input, a layer, an output) or a block, which has `children` in execution order, and is
 * `open` or folded into one node. Each knows its `parent`; that of the outermost is the root, which is always open.
 */
export class Tree {
  constructor(data) {
    this.root = { id: "root", children: [], open: true, parent: null, depth: 0 };
    this.blocks = data.blocks.map((block, i) => ({
      ...block,
      id: `b${i}`,
      role: "block",
      number: i,
      children: [],
      open: false,
    }));
    this.nodes = data.nodes.map((node, i) => ({ ...node, id: `n${i}`, number: i }));
    const at = (block) => (block === null ? this.root : this.blocks[block]);
    for (const block of this.blocks) block.parent = at(block.within);
    for (const node of this.nodes) node.parent = at(node.within);
    const placed = new Set([this.root]);
    for (const node of this.nodes) {
      for (let item = node; !placed.has(item); item = item.parent) {
        placed.add(item);
        item.parent.children.push(item);
      }
    }
    this.edges = this.nodes.flatMap((node) => node.inputs.map((i) => [this.nodes[i], node]));
    this.byName = new Map(
      [...this.blocks, ...this.nodes.filter((n) => n.role === "layer")].map((item) => [item.name, item]),
    );
    this.openFirst();
  }

  /** Open level after level, as long as not too many nodes are shown. */
  openFirst() {
    this.setAll(false);
    for (let level = this.root.children; ;) {
      const blocks = level.filter((item) => item.children);
      const inside = blocks.flatMap((block) => block.children);
      const shown = this.shown().length - blocks.length + inside.length;
      if (!blocks.length || shown > SHOWN_AT_MOST) return;
      for (const block of blocks) block.open = true;
      level = inside;
    }
  }

  setAll(open) {
    for (const block of this.blocks) block.open = open;
  }

  /** Open all that an item is in. */
  reveal(item) {
    let changed = false;
    for (let block = item.parent; block !== this.root; block = block.parent) {
      changed ||= !block.open;
      block.open = true;
    }
    return changed;
  }

  /** The items that are nodes of the graph as it is folded, in execution order. */
  shown(group = this.root) {
    return group.children.flatMap((item) => (item.open ? this.shown(item) : [item]));
  }

  /** What is drawn: nodes and open blocks, each in front of what is in it. */
  items(group = this.root) {
    return group.children.flatMap((item) => (item.open ? [item, ...this.items(item)] : [item]));
  }

  /** All nodes in an item. */
  leaves(item) {
    return item.children ? item.children.flatMap((child) => this.leaves(child)) : [item];
  }
}

/** The node that shows an item: itself, or the outermost folded block around it. */
export function visible(item) {
  let found = item;
  for (let block = item.parent; block; block = block.parent) if (!block.open) found = block;
  return found;
}

/** The open blocks that a visible item is in, outermost first. */
export function around(item) {
  const found = [];
  for (let block = item.parent; block; block = block.parent) found.unshift(block);
  return found;
}

// Where everything goes: dagre lays out what is in each open block, from the inside out.
//
// A tensor that enters or leaves an open block does so at a port on its upper or lower side. So each block is a
// graph of its own, however large the network is.

import { Graph, layout } from "@dagrejs/dagre";
import { around, visible } from "./tree.js";

const SPACE = { nodesep: 26, ranksep: 14, edgesep: 14, marginx: 0, marginy: 0 };
const MARGIN = 14;
export const HEADER = 26;
const LABEL_HEIGHT = 14;
const AT_THE_SIDE = 1000; // weight of what holds ports at the side of their block

/**
 * Lay out a tree as it is folded.
 *
 * measure(item): width and height of a node; of an open block the least. width(text): of an edge's label. Every visible item gets `box`
 * (x, y, width, height within its block), every open block `links`: tensors with the points of their path.
 */
export function arrange(tree, measure, width) {
  join(tree);
  place(tree.root, measure, width);
  return tree.root.box;
}

/** Give every open block the tensors that go within it, each once a pair of ends. */
function join(tree) {
  const clear = (group) => {
    group.links = new Map();
    for (const child of group.children) if (child.open) clear(child);
  };
  clear(tree.root);
  for (const [source, target] of tree.edges) {
    const [from, to] = [visible(source), visible(target)];
    if (from === to) continue;
    const tensor = `${from.id}:${source.shape}`;
    const [above, below] = [around(from), around(to)];
    let common = 0;
    while (common + 1 < Math.min(above.length, below.length) && above[common + 1] === below[common + 1]) common++;
    link(above[common], tensor, source.shape, above[common + 1] ?? from, below[common + 1] ?? to);
    for (let i = common + 1; i < above.length; i++) link(above[i], tensor, source.shape, above[i + 1] ?? from, null);
    for (let i = common + 1; i < below.length; i++) link(below[i], tensor, source.shape, null, below[i + 1] ?? to);
  }
}

/** A tensor within a block; null stands for the block's side. */
function link(group, tensor, shape, from, to) {
  const key = `${tensor}>${from ? from.id : "in"}>${to ? to.id : "out"}`;
  if (!group.links.has(key)) group.links.set(key, { tensor, shape, from, to });
}

function place(group, measure, width) {
  for (const child of group.children) {
    if (child.open) place(child, measure, width);
    else child.box = { ...measure(child) };
  }
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ ...SPACE });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const child of group.children) graph.setNode(child.id, { width: child.box.width, height: child.box.height });
  const links = [...group.links.values()];
  const named = new Set();
  for (const [i, each] of links.entries()) {
    const [from, to] = [end(graph, each.from, "in", each.tensor), end(graph, each.to, "out", each.tensor)];
    each.label = each.from && each.to && !named.has(each.tensor) ? each.shape : "";
    named.add(each.tensor);
    const size = each.label ? { width: width(each.label), height: LABEL_HEIGHT, labelpos: "c" } : {};
    graph.setEdge(from, to, { minlen: 1, weight: 1, ...size }, String(i));
  }
  layout(graph);
  read(group, graph, links, measure);
}

/** The node of a link's end; ports are made as they are met, and held at their side. */
function end(graph, item, side, tensor) {
  if (item) return item.id;
  const id = `${side} ${tensor}`;
  if (!graph.hasNode(id)) {
    graph.setNode(id, { width: 2, height: 2 });
    const hold = `side ${side}`;
    if (!graph.hasNode(hold)) graph.setNode(hold, { width: 0, height: 0 });
    graph.setEdge(...(side === "in" ? [hold, id] : [id, hold]), { minlen: 1, weight: AT_THE_SIDE }, "hold");
  }
  return id;
}

/** Take positions over: children within the block, ports on its sides, paths that end where ports are. */
function read(group, graph, links, measure) {
  const boxes = group.children.map((child) => ({ child, at: graph.node(child.id) }));
  const paths = links.map((each, i) => ({ each, edge: edgeOf(graph, each, i) }));
  const xs = [],
    ys = [];
  for (const { at } of boxes) {
    xs.push(at.x - at.width / 2, at.x + at.width / 2);
    ys.push(at.y - at.height / 2, at.y + at.height / 2);
  }
  for (const { each, edge } of paths) {
    for (const p of edge.points) xs.push(p.x);
    if (each.label) xs.push(edge.x - edge.width / 2, edge.x + edge.width / 2);
  }
  const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
  const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
  const outer = group.parent === null;
  const ported = (side) => (links.some((each) => each[side] === null) ? SPACE.ranksep : 0);
  const left = least(xs) - MARGIN,
    top = least(ys) - (outer ? MARGIN : HEADER + ported("from") + MARGIN / 2);
  const size = {
    width: Math.max(most(xs) + MARGIN - left, outer ? 0 : measure(group).width),
    height: most(ys) + (outer ? MARGIN : ported("to") + MARGIN / 2) - top,
  };
  const shift = (size.width - (most(xs) + MARGIN - left)) / 2;
  const moved = (p) => ({ x: p.x - left + shift, y: p.y - top });
  for (const { child, at } of boxes) {
    const centre = moved(at);
    child.box.x = centre.x - at.width / 2;
    child.box.y = centre.y - at.height / 2;
  }
  group.box = { ...size };
  group.ports = { in: new Map(), out: new Map() };
  for (const { each, edge } of paths) {
    const points = edge.points.map(moved);
    if (!each.from) {
      const x = moved(graph.node(`in ${each.tensor}`)).x;
      points.splice(0, 1, { x, y: 0 });
      group.ports.in.set(each.tensor, x);
    }
    if (!each.to) {
      const x = moved(graph.node(`out ${each.tensor}`)).x;
      points.splice(-1, 1, { x, y: size.height });
      group.ports.out.set(each.tensor, x);
    }
    meet(each, points);
    atPorts(each, points);
    each.points = points;
    each.at = each.label ? moved(edge) : null;
  }
}

function edgeOf(graph, each, i) {
  const [v, w] = [each.from ? each.from.id : `in ${each.tensor}`, each.to ? each.to.id : `out ${each.tensor}`];
  return graph.edge(v, w, String(i));
}

/** Let a path leave a node below and enter one above, so that it passes over none beside it. */
function meet({ from, to }, points) {
  const across = (box, x) => Math.min(box.x + box.width - MARGIN, Math.max(box.x + MARGIN, x));
  if (from) points[0] = { x: across(from.box, points[1].x), y: from.box.y + from.box.height };
  if (to) points[points.length - 1] = { x: across(to.box, points.at(-2).x), y: to.box.y };
}

/** Let a path begin and end at the ports of the open blocks that it joins. */
function atPorts(each, points) {
  const { from, to } = each;
  if (from?.open && from.ports.out.has(each.tensor)) {
    points[0] = { x: from.box.x + from.ports.out.get(each.tensor), y: from.box.y + from.box.height };
  }
  if (to?.open && to.ports.in.has(each.tensor)) {
    points[points.length - 1] = { x: to.box.x + to.ports.in.get(each.tensor), y: to.box.y };
  }
}

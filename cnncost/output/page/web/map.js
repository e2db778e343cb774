// The map of networks: an amount across, one up, one as area; families by colour, the front drawn.

import * as Plot from "@observablehq/plot";
import { byId, html } from "./dom.js";
import { front, steps } from "./front.js";
import { label } from "./labels.js";
import { ACCENT, chart, choosing, DIM, PAPER } from "./plots.js";

const COLOURS = Plot.scale({ color: { type: "categorical", scheme: "observable10" } }).range;
const OTHERS = "others";
const LARGEST = 8; // of those off the front, that are named
const LEAST_RADIUS = 3;
const NAMED_AT_MOST = 40;

/** Families with a colour each, the most frequent first; all others share one. */
function colours(networks) {
  const counts = new Map();
  const told = networks.filter(({ error }) => error); // colours are for what maps mostly show
  for (const { family } of told.length ? told : networks) counts.set(family, (counts.get(family) ?? 0) + 1);
  const known = [...counts]
    .filter(([family]) => family)
    .sort((a, b) => b[1] - a[1])
    .map(([family]) => family)
    .slice(0, COLOURS.length - 1);
  const found = new Map(known.map((family, i) => [family, COLOURS[i]]));
  return {
    found,
    others: networks.some(({ family }) => !found.has(family)),
    of: ({ family }) => found.get(family) ?? DIM,
  };
}

/** Which networks the map shows, and why it does not show the others: [reason, networks]. */
function placed(networks, axes, state) {
  const why = new Map();
  const way = [axes.x, axes.y, axes.area].some((axis) => axis.error) ? state.get("tested") : "";
  const shown = networks.filter((network) => {
    const reason = reasonOf(network, axes, state, way);
    if (reason) why.set(reason, [...(why.get(reason) ?? []), network.name]);
    return !reason;
  });
  return { shown, why, way };
}

function reasonOf({ values, tested }, axes, state, way) {
  for (const id of ["x", "y", "area"]) if (!(axes[id].key in values)) return `without ${axes[id].name}`;
  if (way && !tested.includes(way)) return "with errors that were measured otherwise";
  for (const id of ["x", "y"])
    if (state.get(`${id}-log`) && values[axes[id].key] <= 0)
      return `with 0 as ${axes[id].name}, which has no logarithm`;
  return null;
}

/** How many networks the map leaves out and why, with their names where they are asked for. */
function counted(why, total) {
  const missing = [...why.values()].reduce((sum, list) => sum + list.length, 0);
  if (!missing) return [total === 1 ? "The network is on the map." : `All ${total} networks are on the map.`];
  const parts = [...why].map(([reason, list]) => `${list.length} ${reason}`);
  const names = [...why].map(([reason, list]) => html("p", {}, `${reason}: ${list.join(", ")}`));
  return [
    html(
      "details",
      {},
      html("summary", {}, `Not on the map: ${missing} of ${total} networks: ${parts.join(", ")}`),
      ...names,
    ),
  ];
}

function frontless({ x, y }, shown) {
  if (!shown.length) return "";
  return x === y
    ? "No front is drawn: both axes are the same."
    : `No front is drawn: of ${(x.better ? y : x).name} neither less nor more is better.`;
}

/** Draw the map into its figure; it tells the state which networks are on the front. */
export function networkMap(byKey, networks, state) {
  const family = colours(networks);
  const axesNow = () => Object.fromEntries(["x", "y", "area"].map((id) => [id, byKey.get(state.get(id))]));
  let now = {};
  const choose = () => {
    const axes = axesNow();
    const { shown, why, way } = placed(networks, axes, state);
    const value = (axis) => (network) => network.values[axis.key] / axis.worth;
    const at = { x: value(axes.x), y: value(axes.y), area: value(axes.area) };
    const better = [axes.x.better, axes.y.better];
    const members = better[0] && better[1] && axes.x !== axes.y ? front(shown, at.x, at.y, better) : [];
    now = { axes, shown, at, members };
    byId("missing").replaceChildren(...counted(why, networks.length));
    byId("front-note").textContent = members.length
      ? `◆ The front: ${members.length} of ${shown.length} networks, for each of which no other on the map has both less ${axes.x.name} and less ${axes.y.name}.${way || !(axes.x.error || axes.y.error) ? "" : " Errors measured in several ways are not comparable."}`
      : frontless(axes, shown);
    if (byId("tested")) byId("tested").disabled = ![axes.x, axes.y, axes.area].some((axis) => axis.error);
    state.set("axes", axes);
    state.set("front", new Set(members));
  };
  state.follow(["x", "y", "area", "x-log", "y-log", "tested"], choose);
  chart("map-chart", state, ["front", "item", "matches"], (width) => [
    legend(family),
    drawn(now, family, state, width),
  ]);
}

/** The families, each a button that searches for it. */
function legend({ found, others }) {
  const entry = ([name, colour]) =>
    html(
      "button",
      { type: "button", class: "key", title: `search for ${name}`, click: () => search(name) },
      html("i", { style: `background: ${colour}` }),
      name,
    );
  return html(
    "div",
    { class: "keys" },
    ...[...found].map(entry),
    others ? html("span", { class: "key dim" }, html("i", { style: `background: ${DIM}` }), OTHERS) : null,
  );
}

function search(name) {
  const field = byId("search");
  field.value = field.value === name ? "" : name;
  field.dispatchEvent(new Event("input"));
}

function drawn({ axes, shown, at, members }, family, state, width) {
  if (!shown.length) return html("p", {}, "No network has all three.");
  const height = Math.max(340, Math.min(640, width * 0.62));
  const matches = state.get("matches");
  const item = state.get("item");
  const largest = Math.max(...shown.map(at.area)) || 1;
  const most = width < 500 ? 16 : 28;
  const radius = (network) => Math.max(LEAST_RADIUS, most * Math.sqrt(Math.max(0, at.area(network)) / largest));
  const scale = (id) => ({
    type: state.get(`${id}-log`) ? "log" : "linear",
    nice: !state.get(`${id}-log`),
    grid: true,
    ...(axes[id].year ? { tickFormat: "d" } : {}),
    ...(state.get(`${id}-log`) ? { tickFormat: "~f" } : {}),
  });
  const opacity = (network) => (matches && !matches.has(network) ? 0.08 : 0.62);
  const bySize = [...shown].sort((a, b) => at.area(b) - at.area(a));
  const chosen = shown.filter((network) => network === item);
  const title = (n) =>
    [
      n.network,
      ...["x", "y", "area"].map((id) => `${axes[id].name}: ${n.texts[axes[id].key]}`),
      ...(Object.values(axes).some((a) => a.error) && n.error ? [n.error.split(";")[0]] : []),
    ].join("\n");
  const plot = Plot.plot({
    width,
    height,
    marginLeft: 56,
    marginTop: 28,
    marginBottom: 42,
    marginRight: 20,
    inset: most * 0.7,
    insetRight: most * 1.7,
    x: { ...scale("x"), label: `${axes.x.label} →` },
    y: { ...scale("y"), label: `↑ ${axes.y.label}` },
    marks: [
      Plot.line(steps(members, at.x, at.y), {
        x: "x",
        y: "y",
        stroke: ACCENT,
        strokeWidth: 1.6,
        strokeDasharray: "5 3",
      }),
      Plot.dot(bySize, {
        x: at.x,
        y: at.y,
        r: { value: radius, scale: null },
        fill: { value: family.of, scale: null },
        fillOpacity: { value: opacity, scale: null },
        stroke: PAPER,
        strokeWidth: 0.8,
      }),
      Plot.dot(members, { x: at.x, y: at.y, r: { value: radius, scale: null }, stroke: ACCENT, strokeWidth: 1.6 }),
      Plot.dot(chosen, {
        x: at.x,
        y: at.y,
        r: { value: (n) => radius(n) + 4, scale: null },
        stroke: ACCENT,
        strokeWidth: 3,
      }),
      Plot.tip(shown, Plot.pointer({ x: at.x, y: at.y, title })),
    ],
  });
  const on = new Set(members);
  const named = [...new Set([...chosen, ...members, ...bySize.slice(0, LARGEST)])].filter(
    (n) => !matches || matches.has(n),
  );
  const also = matches ? shown.filter((n) => matches.has(n)) : [];
  const [x, y] = [plot.scale("x"), plot.scale("y")];
  const points = [...new Set([...named, ...also])].slice(0, NAMED_AT_MOST).map((n) => ({
    x: x.apply(at.x(n)),
    y: y.apply(at.y(n)),
    r: radius(n),
    text: n.network,
    strong: on.has(n) || n === item,
  }));
  label(plot, points, { left: 58, top: 22, right: width - 2, bottom: height - 44 });
  return choosing(plot, (network) => state.set("item", network));
}

// Names beside points, as many as find room: none over another, over a point that is named, or over the frame.

import { svg } from "./dom.js";

const LINE = 13;
const AROUND = [
  ["start", 1, 0.35],
  ["end", -1, 0.35],
  ["middle", 0, -0.4],
  ["middle", 0, 1.1],
  ["start", 0.8, -0.4],
  ["end", -0.8, -0.4],
  ["start", 0.8, 1.1],
  ["end", -0.8, 1.1],
];
const INSIDE = ["middle", 0, 0];
const LARGE = 20; // pixels of radius, from which a name may stand over its point

/**
 * Put names into a plot.
 *
 * points: {x, y, r, text, strong} in pixels, the most wanted first. frame: left, top, right, bottom.
 */
export function label(plot, points, frame) {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.font = `600 11px ${getComputedStyle(document.body).fontFamily}`;
  const taken = [];
  const group = svg("g", { class: "labels" });
  for (const point of points) {
    const width = canvas.measureText(point.text).width;
    for (const [anchor, dx, dy] of point.r >= LARGE ? [...AROUND, INSIDE] : AROUND) {
      const box = boxOf(point, width, anchor, dx, dy);
      if (box.left < frame.left || box.right > frame.right || box.top < frame.top || box.bottom > frame.bottom)
        continue;
      if (
        taken.some(
          (other) =>
            other.left < box.right && box.left < other.right && other.top < box.bottom && box.top < other.bottom,
        )
      )
        continue;
      taken.push(box);
      group.append(
        svg("text", { x: box.x, y: box.y, "text-anchor": anchor, class: point.strong ? "strong" : null }, point.text),
      );
      break;
    }
  }
  plot.append(group);
}

function boxOf({ x, y, r }, width, anchor, dx, dy) {
  const gap = r + 3;
  const at = { x: x + dx * gap, y: y + (dy < 0 ? -gap + 2 : dy > 1 ? gap + LINE - 4 : 4) };
  const left = anchor === "start" ? at.x : anchor === "end" ? at.x - width : at.x - width / 2;
  return { ...at, left: left - 2, right: left + width + 2, top: at.y - LINE + 2, bottom: at.y + 3 };
}

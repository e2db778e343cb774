// What no other beats: the front of points that have an amount across and one up.

/**
 * The points that no other is as good as in both and better than in one, from the left.
 *
 * across, up: of a point. better: "less" or "more", of each.
 */
export function front(points, across, up, better) {
  const [a, b] = better.map((which) => (which === "more" ? -1 : 1));
  const sorted = [...points].sort((p, q) => a * (across(p) - across(q)) || b * (up(p) - up(q)));
  const found = [];
  let best = Infinity;
  let last = null;
  for (const point of sorted) {
    const now = b * up(point);
    const equal = last && across(point) === across(last) && up(point) === up(last);
    if (now < best || equal) {
      found.push(point);
      last = point;
    }
    best = Math.min(best, now);
  }
  return found;
}

/** The corners of the line under which nothing lies: a step down at each member. */
export function steps(points, across, up) {
  return points.flatMap((p, i) =>
    (i ? [{ x: across(p), y: up(points[i - 1]) }] : []).concat({ x: across(p), y: up(p) }),
  );
}

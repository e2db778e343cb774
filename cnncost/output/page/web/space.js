// A design space as its page has it: points with their places on the axes and their quantities.

const COUNTS = -2;
const LEFT_OUT = -1;

/** All points. A point has `places`, an index an axis; `counts`, or `out` of the condition, or the `reason` why it cannot be. */
export class Space {
  #columns;
  #command;
  #byPlaces = new Map();

  constructor({ axes, quantities, where, command, ringed, chosen }, { numbers, places, state, reasons, columns }) {
    this.axes = axes.map((axis, place) => ({ ...axis, place }));
    this.quantities = quantities;
    this.where = where;
    this.chosen = chosen;
    this.#columns = columns;
    this.#command = command;
    this.byKey = new Map([...quantities, ...this.axes].map((each) => [each.key, each]));
    this.points = numbers.map((number, i) => ({
      i,
      number,
      places: places.map((place) => place[i]),
      counts: state[i] === COUNTS,
      out: state[i] === LEFT_OUT,
      reason: reasons[state[i]],
    }));
    this.ringed = ringed.map((i) => this.points[i]); // the choice of the command, where it is by more than two
    for (const point of this.points) this.#byPlaces.set(this.#number(point.places), point);
  }

  /** The number of a place in the space; in samples not every place has a point. */
  #number(places) {
    return this.axes.reduce((number, axis, k) => number * axis.texts.length + places[k], 0);
  }

  /** The point at a place, if there is one. */
  at(places) {
    return this.#byPlaces.get(this.#number(places));
  }

  /** A quantity of a point in its unit, or its value on an axis; null where there is none. */
  value(point, key) {
    const amount = this.byKey.get(key);
    if (amount.texts) return amount.values[point.places[amount.place]];
    const value = this.#columns[key].values[point.i];
    return value === null ? null : value / amount.worth;
  }

  text(point, key) {
    const amount = this.byKey.get(key);
    return amount.texts ? amount.texts[point.places[amount.place]] : this.#columns[key].texts[point.i];
  }

  label(key) {
    const amount = this.byKey.get(key);
    return amount.label ?? amount.name;
  }

  /** All that is said of a point. */
  title(point) {
    const at = this.axes.map((axis) => `${axis.name} ${axis.texts[point.places[axis.place]]}`).join(", ");
    if (point.reason) return `${at}\nimpossible: ${point.reason}`;
    const amounts = this.quantities.map(({ key, name }) => `${name}: ${this.text(point, key)}`);
    return [at, ...amounts, ...(point.out ? ["left out by the condition"] : [])].join("\n");
  }

  command(point) {
    return this.#command
      .map((part) => (typeof part === "number" ? this.axes[part].quoted[point.places[part]] : part))
      .join("");
  }
}

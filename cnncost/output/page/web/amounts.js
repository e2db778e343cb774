// The quantities that nodes are coloured by: numbers of an item, and how they are written.

const TIME = "time";

/** Looks up the chosen quantity of an item; least times are those of the chosen device. */
export class Amounts {
  constructor(state) {
    this.state = state;
  }

  #of(item, what, quantity) {
    if (quantity === TIME) {
      const device = this.state.get("device");
      return device?.[item.children ? "blocks" : "layers"][item.number]?.[what === "values" ? 0 : 1];
    }
    return item[what]?.[quantity];
  }

  value(item) {
    return this.#of(item, "values", this.state.get("quantity"));
  }

  text(item) {
    return this.#of(item, "texts", this.state.get("quantity"));
  }

  /** The longest text that a node may have to hold. */
  widest(item) {
    const texts = [...Object.values(item.texts ?? {}), this.#of(item, "texts", TIME) ?? ""];
    return texts.reduce((a, b) => (b.length > a.length ? b : a), "");
  }
}

// The quantities that nodes are coloured by: numbers of an item, and how they are written.

const TIME = "time";
const ZERO = { value: 0, text: "0" };

/** Looks up the chosen quantity of an item; least times are those of the chosen device. */
export class Amounts {
  #words;
  #bases;

  /** quantities: those of the page's data. */
  constructor(state, quantities) {
    this.state = state;
    this.#words = new Map(quantities.map(({ key, word }) => [key, word]));
    this.#bases = new Map(quantities.map(({ key, base }) => [key, base]));
  }

  #of(item, what, quantity) {
    if (quantity === TIME) {
      const device = this.state.get("device");
      return device?.[item.children ? "blocks" : "layers"][item.number]?.[what === "values" ? 0 : 1];
    }
    return item[what]?.[quantity];
  }

  /** What is counted as nothing when nodes are coloured: bytes that are always alive, of those alive at a time. */
  get base() {
    return this.#bases.get(this.state.get("quantity")) ?? ZERO;
  }

  value(item) {
    return this.#of(item, "values", this.state.get("quantity"));
  }

  text(item) {
    return this.#of(item, "texts", this.state.get("quantity"));
  }

  /** The same, and what it is of: 105.4 M MACs. */
  words(item) {
    const text = this.text(item);
    return text && this.#worded(text, this.state.get("quantity"));
  }

  #worded(text, quantity) {
    return [text, this.#words.get(quantity)].filter(Boolean).join(" ");
  }

  /** The longest text that a node may have to hold. */
  widest(item) {
    const counts = Object.entries(item.texts ?? {}).map(([key, text]) => this.#worded(text, key));
    const texts = [...counts, this.#of(item, "texts", TIME) ?? ""];
    return texts.reduce((a, b) => (b.length > a.length ? b : a), "");
  }
}

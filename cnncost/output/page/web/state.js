// What is chosen on the page, and who wants to know of it.

/** A value a key; whoever listens to a key is called when it is set, also to what it is: then it is shown again. */
export class State {
  #values;
  #listeners = new Map();

  constructor(values) {
    this.#values = values;
  }

  get(key) {
    return this.#values[key];
  }

  set(key, value) {
    this.#values[key] = value;
    for (const listener of this.#listeners.get(key) ?? []) listener(value);
  }

  /** Call a listener now, and whenever one of the keys is set. */
  follow(keys, listener) {
    for (const key of keys) this.#listeners.set(key, [...(this.#listeners.get(key) ?? []), listener]);
    listener(this.get(keys[0]));
  }
}

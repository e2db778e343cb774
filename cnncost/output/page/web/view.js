// How much of a drawing is seen in its pane: the scale, and where it is scrolled to.

const SCALES = [0.25, 0.35, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2];
const LEAST_FITTED = 0.6; // below it nothing could be read
const DRAGGED = 4; // pixels from which on a pointer drags, and no longer clicks

/** A pane that scrolls over an SVG: by its bars, by dragging; Ctrl and the wheel zoom. */
export class View {
  #pane;
  #size = { width: 1, height: 1 };
  #scale = 1;

  constructor(pane) {
    this.#pane = pane;
    this.#drags();
    pane.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey) return;
        event.preventDefault();
        this.zoom(event.deltaY < 0 ? 1 : -1, event);
      },
      { passive: false },
    );
  }

  /** Put another drawing in, at the same scale and place. size: its own width and height. */
  show(drawing, size) {
    const kept = [this.#pane.scrollLeft, this.#pane.scrollTop];
    this.#size = size;
    this.#pane.replaceChildren(drawing);
    this.#resize();
    [this.#pane.scrollLeft, this.#pane.scrollTop] = kept;
  }

  /** One step larger (1) or smaller (-1); what is at a place of the window stays there, or what is in the middle. */
  zoom(by, at = this.#middle()) {
    const larger = SCALES.find((scale) => scale > this.#scale + 0.001);
    const smaller = SCALES.findLast((scale) => scale < this.#scale - 0.001);
    const before = this.#pane.firstElementChild.getBoundingClientRect();
    this.#scale = (by > 0 ? larger : smaller) ?? this.#scale;
    this.#resize();
    const now = this.#pane.firstElementChild.getBoundingClientRect();
    this.#pane.scrollLeft += now.left + ((at.clientX - before.left) / before.width) * now.width - at.clientX;
    this.#pane.scrollTop += now.top + ((at.clientY - before.top) / before.height) * now.height - at.clientY;
  }

  /** As large as the width allows, no larger than life, and legible; from the top, with x of the drawing in the middle. */
  fit(x) {
    this.#scale = Math.min(1, Math.max(LEAST_FITTED, (this.#pane.clientWidth - 4) / this.#size.width));
    this.#resize();
    this.centre(x);
  }

  /** Show the top of the drawing, with x of it in the middle. */
  centre(x) {
    this.#pane.scrollTop = 0;
    this.#pane.scrollLeft = x * this.#scale - this.#pane.clientWidth / 2;
  }

  /** Scroll until an element is seen; where it is, nothing moves. */
  into(element) {
    const [pane, box] = [this.#pane.getBoundingClientRect(), element.getBoundingClientRect()];
    const beyond = (low, high, least, most) => low < least || high > most;
    if (beyond(box.top, box.bottom, pane.top, pane.bottom)) {
      this.#pane.scrollTop += box.top - pane.top - (pane.height - Math.min(box.height, pane.height)) / 2;
    }
    if (beyond(box.left, box.right, pane.left, pane.right)) {
      this.#pane.scrollLeft += box.left - pane.left - (pane.width - Math.min(box.width, pane.width)) / 2;
    }
  }

  /** Scroll until the upper side of an element is where a box was before. */
  hold(element, before) {
    const now = element.getBoundingClientRect();
    this.#pane.scrollTop += now.top - before.top;
    this.#pane.scrollLeft += (now.left + now.right - before.left - before.right) / 2;
  }

  #middle() {
    const { left, top, width, height } = this.#pane.getBoundingClientRect();
    return { clientX: left + width / 2, clientY: top + height / 2 };
  }

  #resize() {
    const drawing = this.#pane.firstElementChild;
    drawing.setAttribute("width", this.#size.width * this.#scale);
    drawing.setAttribute("height", this.#size.height * this.#scale);
  }

  /** A mouse scrolls by dragging; fingers do so by themselves. */
  #drags() {
    let from = null;
    this.#pane.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse" && event.button === 0) from = event;
    });
    addEventListener("pointermove", (event) => {
      if (!from) return;
      const [x, y] = [event.clientX - from.clientX, event.clientY - from.clientY];
      if (!this.#pane.classList.contains("dragged") && Math.hypot(x, y) < DRAGGED) return;
      this.#pane.classList.add("dragged");
      this.#pane.scrollBy(-x, -y);
      from = event;
    });
    addEventListener("pointerup", () => {
      from = null;
      setTimeout(() => this.#pane.classList.remove("dragged")); // after the click that a drag ends with
    });
  }
}

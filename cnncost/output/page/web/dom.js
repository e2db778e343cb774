// Elements of the page. Text goes in as text, never as markup: names come from specs, and specs from strangers.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element: attributes (functions are listeners, null and false leave one out), then children. */
export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** The element of an id, which the template has. */
export function byId(id) {
  return document.getElementById(id);
}

/** What a script of the page holds as JSON; null where it has none. */
export function embedded(id) {
  const holder = byId(id);
  return holder && JSON.parse(holder.textContent);
}

/** The same of what is compressed, as base64 of gzip. */
export async function unpacked(name) {
  const bytes = Uint8Array.from(atob(byId(`data-${name}`).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

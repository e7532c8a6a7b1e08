/**
 * An element with attributes and children. What a model or a server said comes in as text nodes only: the page's
 * policy (require-trusted-types-for) refuses every string that would be read as HTML.
 *
 * An attribute that is null, undefined or false is left out; "onclick" and the like take a function.
 */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (given(value)) element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter(given));
  return element;
}

const given = (value) => value !== null && value !== undefined && value !== false;

export const byId = (id) => document.getElementById(id);

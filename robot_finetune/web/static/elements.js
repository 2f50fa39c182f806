// Elements made of data: text stays text, whatever is in it.

export const byId = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

export function fill(id, ...children) {
  byId(id).replaceChildren(...children);
}

export function text(id, value) {
  const element = byId(id);
  if (element.textContent !== value) element.textContent = value;
}

// cells: strings or elements; the last column may hold a long reason.
export function table(names, rows, long = -1) {
  const head = make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));
  const lines = rows.map((row) =>
    make("tr", {}, ...row.map((cell, i) => make("td", { class: i === long ? "why" : "nowrap" }, cell))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines));
}

export function pairs(id, entries) {
  fill(id, ...entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

export function banner(line) {
  const element = byId("banner");
  element.hidden = !line;
  if (element.textContent !== line) element.textContent = line;
}

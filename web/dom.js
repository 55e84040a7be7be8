// Building elements. Text goes in as text nodes only: whatever a label or a file is called, it is never HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: `class`, `on` (event -> handler), `style` (CSS properties), `data`, everything else an attribute. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.setAttribute("class", value);
    else if (name === "on") for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
    else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replace what an element holds. */
export function put(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

/** Say something to a screen reader. */
export function announce(text) {
  const status = document.getElementById("status");
  status.textContent = "";
  requestAnimationFrame(() => { status.textContent = text; });
}

const ICONS = {
  upload: "M12 16V4m0 0L7 9m5-5 5 5M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3",
  folder: "M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z",
  close: "M6 6l12 12M18 6 6 18",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  retry: "M20 11a8 8 0 1 0-2.3 5.7M20 5v6h-6",
  trash: "M5 7h14M10 7V4h4v3m-7 0 1 13h8l1-13",
  search: "M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zm5 12 4 4",
  check: "M5 13l4 4L19 7",
  warn: "M12 4 2.5 20h19L12 4zm0 6v5m0 2v.5",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  down: "M6 9l6 6 6-6",
};

/** A drawing that stands beside words and says nothing itself. */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", width: 18, height: 18, class: "icon", "aria-hidden": "true" },
    svg("path", { d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": 2,
      "stroke-linecap": "round", "stroke-linejoin": "round" }));
}

/** A button with a drawing; `label` is what a screen reader says when the words are not shown. */
export function button(name, text, run, { label = null, kind = "" } = {}) {
  return h("button", { type: "button", class: `button ${kind}`, "aria-label": label, title: label,
    on: { click: run } }, name && icon(name), text && h("span", {}, text));
}

/** A notice in the place of what could not be shown, with what can be done about it. */
export function trouble(error, again) {
  return h("div", { class: "notice bad", role: "alert" }, icon("warn"),
    h("div", {}, h("p", {}, error.message || String(error)),
      again && button("retry", "Try again", again)));
}

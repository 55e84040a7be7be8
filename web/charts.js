// Charts by uPlot, which is loaded when somebody looks at the insights and not before. A canvas says nothing to a
// screen reader, so that beside each chart its numbers stand in a table.

import { h } from "./dom.js";

const HEIGHT = 240;
const LONGEST_NAME = 14;
let library = null;

/** uPlot; it comes as a classic script, whose address a policy must allow. */
function load() {
  library ??= new Promise((resolve, reject) => {
    const base = new URL("vendor/uplot/", import.meta.url);
    const script = new URL("uPlot.iife.min.js", base).href;
    const policy = globalThis.trustedTypes?.createPolicy("charts", { createScriptURL: (url) => (url === script ? url : "about:blank") });
    const style = h("link", { rel: "stylesheet", href: new URL("uPlot.min.css", base).href });
    const element = document.createElement("script");
    element.src = policy ? policy.createScriptURL(script) : script;
    element.addEventListener("load", () => resolve(globalThis.uPlot));
    element.addEventListener("error", () => { library = null; reject(new Error("The charts could not be loaded.")); });
    document.head.append(style, element);
  });
  return library;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const short = (name) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);

/**
 * A bar chart. `rows`: `[{name, images, href?}]`; `slanted`: names stand at an angle under the bars.
 * Returns the element; the drawing comes in a moment.
 */
export function barChart({ title, rows, unit = "pictures", slanted = rows.length > 5, note = "" }) {
  const canvas = h("div", { class: "chart", "aria-hidden": "true" });
  const tip = h("div", { class: "tip", "aria-hidden": "true" });
  const card = h("section", { class: "chart-card" }, h("h2", {}, title), note && h("p", { class: "quiet" }, note), canvas, tip, table(title, rows, unit));
  let plot = null;
  const draw = async () => {
    try {
      const UPlot = await load();
      plot?.destroy();
      plot = new UPlot(options(UPlot, canvas, rows, { unit, slanted, tip }), data(rows), canvas);
    } catch (error) {
      canvas.textContent = error.message;
    }
  };
  const resized = new ResizeObserver(() => (plot ? plot.setSize({ width: canvas.clientWidth, height: HEIGHT }) : draw()));
  resized.observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return card;
}

const data = (rows) => [rows.map((_, at) => at), rows.map((row) => row.images)];

function options(UPlot, canvas, rows, { unit, slanted, tip }) {
  const grid = { stroke: colour("--line"), width: 1 };
  const font = "12px system-ui, sans-serif";
  return {
    width: canvas.clientWidth, height: HEIGHT, padding: [12, 8, 0, 0], legend: { show: false },
    scales: { x: { time: false, range: [-0.6, rows.length - 0.4] }, y: { range: (_, __, most) => [0, Math.max(4, Math.ceil(most * 1.1))] } },
    cursor: { x: false, y: false, points: { show: false }, drag: { setScale: false } },
    axes: [
      { stroke: colour("--muted"), font, grid: { show: false }, ticks: { show: false }, rotate: slanted ? 45 : 0, size: slanted ? 86 : 30,
        splits: () => rows.map((_, at) => at), values: (_, at) => labelled(rows, at, slanted, canvas.clientWidth) },
      { stroke: colour("--muted"), font, grid, ticks: { show: false }, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000, 100000] },
    ],
    series: [{}, { fill: colour("--chart"), stroke: colour("--chart"), width: 0, points: { show: false },
      paths: UPlot.paths.bars({ size: [0.72, 64], radius: 0.12 }) }],
    hooks: { setCursor: [(plot) => {
      const row = plot.cursor.idx === null || plot.cursor.idx === undefined ? null : rows[plot.cursor.idx];
      tip.textContent = row && plot.cursor.left >= 0 ? `${row.name}: ${row.images.toLocaleString("en")} ${unit}` : "";
    }] },
  };
}

/** Names under the bars; where they would lie over each other, every second one and so on. */
function labelled(rows, at, slanted, width) {
  const room = slanted ? 22 : 64;
  const every = Math.max(1, Math.ceil((rows.length * room) / Math.max(1, width - 60)));
  return at.map((index) => (rows[index] && index % every === 0 ? short(rows[index].name) : ""));
}

function table(title, rows, unit) {
  return h("details", {}, h("summary", {}, "As a table"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, as a table` }, h("table", {}, h("caption", { class: "sr-only" }, title),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Name"), h("th", { scope: "col" }, unit[0].toUpperCase() + unit.slice(1)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.href ? h("a", { href: row.href }, row.name) : row.name), h("td", {}, row.images.toLocaleString("en"))))))));
}

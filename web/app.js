// The page: which view is shown, uploads from anywhere, and who is signed in.

import { address } from "./api.js";
import { begin, person, signIn, signOut, signsIn } from "./auth.js";
import { announce, button, h, icon, put, trouble } from "./dom.js";
import { failuresView, picturesView } from "./gallery.js";
import { alertsView, insightsView } from "./insights.js";
import { analyseAgain } from "./picture.js";
import { current, go, link } from "./route.js";
import { Uploads, dropped, picked } from "./uploads.js";

const VIEWS = {
  pictures: ["Pictures", picturesView],
  insights: ["Insights", insightsView],
  alerts: ["Alerts", alertsView],
  failures: ["Failures", failuresView],
};

const main = document.getElementById("main");
let view = null;
let shown = "";
let uploads = null;
let context = null;

async function start() {
  try {
    const config = await (await fetch(address("config.json"))).json();
    const mustSignIn = await begin(config.signIn);
    context = { config, choose, again: analyseAgain };
    if (mustSignIn) { signInPage(); return; }
    open(config);
  } catch (error) {
    put(main, trouble(new Error(`The page cannot begin: ${error.message}`), () => location.reload()));
  }
}

function open(config) {
  uploads = new Uploads(document.getElementById("tray"), config, (image) => view?.add?.(image));
  put(document.getElementById("nav"), Object.entries(VIEWS).map(([name, [text]]) => h("a", { href: link(name), data: { view: name } }, text)));
  put(document.getElementById("actions"), ...chooser(config), ...account());
  addEventListener("hashchange", render);
  addEventListener("signed-out", signInPage);
  addEventListener("keydown", shortcut);
  dropping();
  render();
}

function render() {
  const { view: name, params } = current();
  const known = VIEWS[name] ?? VIEWS.pictures;
  for (const each of document.querySelectorAll("#nav a")) {
    if (each.dataset.view === name) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  document.title = `${params.name ? `${params.name} · ` : ""}${known[0]} · Darkroom`;
  if (name === shown && view?.update(params)) return;
  view?.unmount();
  const moved = shown !== "" && shown !== name;
  shown = name;
  view = known[1](main, params, context);
  if (moved) {
    scrollTo({ top: 0 });
    announce(known[0]);
  }
}

let files = null;
let folder = null;

function choose() { files.click(); }

function chooser(config) {
  const accept = [...Object.keys(config.uploadTypes), ...Object.values(config.uploadTypes).flat().map((ending) => `.${ending}`)].join(",");
  const field = (props) => {
    const input = h("input", { type: "file", multiple: true, hidden: true, tabindex: "-1", "aria-hidden": "true", ...props });
    input.addEventListener("change", () => { take(picked(input)); input.value = ""; });
    return input;
  };
  files = field({ accept, id: "files" });
  folder = field({ webkitdirectory: true, id: "folder" });
  return [
    button("upload", "Upload", choose, { kind: "primary" }),
    button("folder", "", () => folder.click(), { label: "Upload a folder", kind: "quiet folder" }),
    files, folder,
  ];
}

function take(found) {
  uploads.add(found);
  if (current().view !== "pictures" || current().params.name) go("pictures", {});
}

function account() {
  if (!signsIn()) return [];
  return [h("span", { class: "person" }, person()), button("", "Sign out", signOut, { kind: "quiet" })];
}

function signInPage() {
  view?.unmount();
  view = null;
  shown = "";
  put(document.getElementById("actions"));
  put(document.getElementById("nav"));
  put(main, h("div", { class: "empty" }, icon("image"), h("h1", {}, "Darkroom"),
    h("p", {}, "Sign in to see the pictures and to upload some."), button("", "Sign in", signIn, { kind: "primary" })));
}

function dropping() {
  const zone = document.getElementById("drop");
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const over = (by) => (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = Math.max(0, depth + by);
    zone.hidden = depth === 0;
  };
  addEventListener("dragenter", over(1));
  addEventListener("dragleave", over(-1));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    zone.hidden = true;
    take(await dropped(event.dataTransfer));
  });
}

function shortcut(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select") || document.querySelector("dialog[open]")) return;
  if (event.key === "/") {
    event.preventDefault();
    if (current().view === "pictures") document.getElementById("search")?.focus();
    else {
      addEventListener("hashchange", () => document.getElementById("search")?.focus(), { once: true });
      go("pictures", {});
    }
  }
}

start();

// Numbers of all pictures, and what was found that somebody wanted to know of.

import { api } from "./api.js";
import { barChart } from "./charts.js";
import { button, h, icon, put, trouble } from "./dom.js";
import { everyNowAndThen } from "./live.js";
import { link } from "./route.js";
import { moment, percent, sourceMark } from "./show.js";

const SHOWN = 15;
const band = (least) => `${least} to ${Math.min(100, Number(least) + 10)} %`;
const STATUSES = { TAGGED: "tagged", PARTIAL: "partly", FAILED: "failed" };

/** The charts. */
export function insightsView(main) {
  const body = h("div");
  put(main, h("h1", {}, "Insights"), body);
  let last = "";
  async function load() {
    try {
      const counts = await api.counts();
      const text = JSON.stringify(counts);
      if (text === last) return false;
      last = text;
      put(body, counts.images ? charts(counts) : empty("Nothing to count yet", "Upload some pictures: what is in them is counted here."));
      return true;
    } catch (error) {
      if (!last) put(body, trouble(error, load));
      return false;
    }
  }
  put(body, h("p", { class: "boot" }, "Counting…"));
  load();
  const stop = everyNowAndThen(load);
  return { update: () => true, unmount: stop };
}

function charts(counts) {
  const linked = (rows, kind) => rows.slice(0, SHOWN).map((row) => ({ ...row, href: link("pictures", { name: row.name, kind }) }));
  const number = (name) => counts.statuses.find((row) => row.name === name)?.images ?? 0;
  const named = (rows, names) => rows.map((row) => ({ ...row, name: names[row.name] ?? row.name }));
  return [
    h("dl", { class: "tiles" },
      tile("Pictures", counts.images), tile("Different labels", counts.labels.length, counts.labels.length >= 30 ? "+" : ""),
      tile("Failed", number("FAILED"), "", link("failures")), tile("Celebrities", counts.celebrities.length)),
    h("div", { class: "charts" },
      barChart({ title: "Most frequent labels", rows: linked(counts.labels, "label") }),
      barChart({ title: "Categories", rows: counts.categories.slice(0, SHOWN) }),
      barChart({ title: "Pictures over time", rows: counts.days, note: "By day of the upload (UTC)" }),
      barChart({ title: "Confidence of labels", rows: counts.bands.map((row) => ({ ...row, name: band(row.name) })), unit: "labels", slanted: false, note: "How sure the labels are that can be searched for" }),
      barChart({ title: "Outcomes", rows: named(counts.statuses, STATUSES), slanted: false }),
      counts.celebrities.length ? barChart({ title: "Celebrities", rows: linked(counts.celebrities, "celebrity") }) : null,
      counts.moderation.length ? barChart({ title: "Moderation", rows: linked(counts.moderation, "moderation") }) : null)];
}

function tile(name, number, after = "", href = "") {
  const value = number.toLocaleString("en") + after;
  return h("div", {}, h("dt", {}, name), h("dd", {}, href ? h("a", { href }, value) : value));
}

function empty(title, text) {
  return h("div", { class: "empty" }, icon("image"), h("h2", {}, title), h("p", {}, text));
}

/** The alerts, newest first. */
export function alertsView(main) {
  const list = h("ul", { class: "rows", "aria-label": "Alerts" });
  const note = h("div");
  const foot = h("div", { class: "foot" });
  put(main, h("h1", {}, "Alerts"), note, list, foot);
  async function load(cursor = null) {
    try {
      const page = await api.alerts({ limit: 40, cursor });
      list.append(...page.alerts.map(row));
      put(foot, page.cursor && button("down", "Show more", () => load(page.cursor), { kind: "quiet" }));
      put(note, !list.children.length && empty("No alerts", "When a picture shows something that an alert was set for, it is listed here. The parameters of the stack say what for."));
    } catch (error) {
      put(note, trouble(error, () => load(cursor)));
    }
  }
  load();
  return { update: () => true, unmount: () => {} };
}

function row({ id, fileName, record }) {
  const name = record.Name ?? "Alert";
  return h("li", {},
    h("span", { class: "thumb" }, icon("warn")),
    h("div", { class: "words" },
      h("strong", {}, name, record.Confidence !== undefined ? ` ${percent(record.Confidence)}` : ""),
      h("span", {}, fileName ?? ""),
      h("small", {}, moment(record.DetectedAt), record.Rule ? ` · rule ${record.Rule}` : "", " ", sourceMark(record.Source))),
    id ? h("a", { class: "button", href: link("pictures", { picture: id }) }, h("span", {}, "Show the picture")) : null);
}

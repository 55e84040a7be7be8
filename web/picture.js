// One picture: boxes over what was found, and everything that is known of it.

import { api } from "./api.js";
import { announce, button, h, icon, put, trouble } from "./dom.js";
import { recordOf } from "./live.js";
import { link } from "./route.js";
import { moment, percent, photo, reason, size, sourceMark, sourceNote } from "./show.js";

const LAYERS = [["labels", "Labels"], ["faces", "Faces"], ["celebrities", "Celebrities"], ["text", "Text"]];
const chosen = new Set(["labels", "faces", "celebrities", "text"]);
let dialog = null;
let shown = null;

/** Show a picture over the gallery. `way`: `ids()`, `to(id)`, `close()`, `gone(id)`, `changed(image)`. */
export function openPicture(id, way) {
  if (!dialog) {
    dialog = h("dialog", { class: "picture", "aria-labelledby": "picture-name" });
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); shown?.way.close(); });
    dialog.addEventListener("keydown", keys);
    document.body.append(dialog);
  }
  if (shown?.id === id && dialog.open) { shown.way = way; return; }
  shown = { id, way };
  put(dialog, head(id, way), h("div", { class: "loading" }, "Loading…"));
  if (!dialog.open) dialog.showModal();
  load(id);
}

/** Close what is open. */
export function closePicture() {
  if (dialog?.open) dialog.close();
  shown = null;
}

function keys(event) {
  if (event.target.matches("input, textarea, select")) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const next = step && neighbour(step);
  if (next) { event.preventDefault(); shown.way.to(next); }
}

function neighbour(step) {
  const ids = shown.way.ids();
  const at = ids.indexOf(shown.id);
  return at < 0 ? null : ids[at + step] ?? null;
}

function head(id, way, name = "") {
  return h("header", {},
    h("h2", { id: "picture-name" }, name || "Picture"),
    h("div", { class: "actions" },
      step("left", "Previous picture", -1), step("right", "Next picture", 1),
      button("close", "", () => way.close(), { label: "Close", kind: "quiet" })));
}

function step(name, label, by) {
  const next = neighbour(by);
  const made = button(name, "", () => next && shown.way.to(next), { label, kind: "quiet" });
  made.disabled = !next;
  return made;
}

async function load(id) {
  try {
    const image = await api.image(id);
    if (shown?.id !== id) return;
    show(image);
    // what had the focus has been replaced: keys are to reach the dialog still
    if (!dialog.contains(document.activeElement)) dialog.querySelector('[aria-label="Close"]').focus();
  } catch (error) {
    if (shown?.id === id) put(dialog, head(id, shown.way), h("div", { class: "loading" }, trouble(error, () => load(id))));
  }
}

function show(image) {
  const record = image.record;
  const boxes = boxesOf(record);
  const layer = h("div", { class: "boxes", "aria-hidden": "true" });
  const frame = h("div", { class: "frame" }, photo(image.picture, { alt: image.fileName, lazy: false, className: "large" }), layer);
  const draw = () => put(layer, boxes.filter((box) => chosen.has(box.layer)).map(drawn));
  const there = LAYERS.filter(([name]) => boxes.some((box) => box.layer === name));
  draw();
  put(dialog, head(image.id, shown.way, image.fileName),
    h("div", { class: "body" },
      h("figure", {}, h("div", { class: "stage" }, frame),
        there.length ? h("div", { class: "layers", role: "group", "aria-label": "Boxes over the picture" },
          there.map(([name, text]) => toggle(name, text, boxes, draw))) : null),
      h("div", { class: "facts", tabindex: "0", role: "region", "aria-label": "What is known of it" },
        outcome(image), labels(record, layer), faces(record), celebrities(record), texts(record, layer), moderation(record),
        colours(record), details(image), actions(image))));
}

function toggle(name, text, boxes, draw) {
  const number = boxes.filter((box) => box.layer === name).length;
  return h("label", { class: `toggle ${name}` },
    h("input", { type: "checkbox", checked: chosen.has(name), on: { change: (event) => {
      if (event.target.checked) chosen.add(name); else chosen.delete(name);
      draw();
    } } }), h("span", {}, `${text} (${number})`));
}

/** Everything that has a place in the picture. */
export function boxesOf(record) {
  const box = (layer, name, confidence, place) => ({ layer, name, confidence, place });
  return [
    ...(record.Labels ?? []).flatMap((label) => (label.Instances ?? []).map((it) => box("labels", label.Name, it.Confidence, it.BoundingBox))),
    ...(record.Faces ?? []).map((face, at) => box("faces", `Face ${at + 1}`, face.Confidence, face.BoundingBox)),
    ...(record.Celebrities ?? []).map((each) => box("celebrities", each.Name, each.Confidence, each.BoundingBox)),
    ...(record.Text ?? []).filter((text) => text.Type !== "WORD").map((text) => box("text", text.Text, text.Confidence, text.BoundingBox)),
  ].filter((each) => each.place);
}

function drawn({ layer, name, confidence, place }) {
  const share = (value) => `${(value * 100).toFixed(3)}%`;
  return h("div", { class: `box ${layer}`, data: { name },
    style: { left: share(place.Left), top: share(place.Top), width: share(place.Width), height: share(place.Height) } },
    h("span", {}, `${name} ${Math.round(confidence)}`));
}

function outcome(image) {
  const note = sourceNote(image.source);
  return [
    image.failure && h("div", { class: "notice bad" }, icon("warn"), h("div", {}, h("p", {}, reason(image.failure)), h("small", {}, image.failure.code))),
    image.status === "PARTIAL" && h("div", { class: "notice" }, icon("warn"), h("div", {}, partial(image.record))),
    note && h("p", { class: "source" }, sourceMark(image.source), " ", note),
    (image.record.OnlyInFile ?? image.record.LeftInDocument) && h("p", { class: "source" },
      `Too large for the table, in the JSON file only: ${(image.record.OnlyInFile ?? image.record.LeftInDocument).join(", ")}.`),
  ];
}

function partial(record) {
  const failed = Object.entries(record.Analyzers ?? {}).filter(([, each]) => each.Status === "FAILED");
  return failed.length ? failed.map(([name, each]) => h("p", {}, `${name}: ${each.ErrorMessage || each.ErrorCode || "failed"}`))
    : h("p", {}, "Some of the analysers failed.");
}

/** Handlers of a row that light up its boxes. */
function lights(layer, kind, name) {
  const light = (on) => () => layer.querySelectorAll(`.box.${kind}`).forEach((box) => box.classList.toggle("lit", on && box.dataset.name === name));
  return { pointerenter: light(true), pointerleave: light(false), focusin: light(true), focusout: light(false) };
}

function section(title, ...content) {
  return h("section", {}, h("h3", {}, title), ...content);
}

function bar(value, className = "") {
  return h("span", { class: `bar ${className}`, "aria-hidden": "true" }, h("span", { style: { width: `${Math.min(100, value)}%` } }));
}

function labels(record, layer) {
  const all = record.Labels ?? [];
  if (record.Status === "FAILED" && !all.length) return null;
  if (!all.length) return section("Labels", h("p", { class: "quiet" }, "No label reaches the threshold. A lower MinConfidence records more."));
  return section(`Labels (${all.length})`, h("ul", { class: "bars" }, all.toSorted((a, b) => b.Confidence - a.Confidence).map((label) => h("li", {
    on: lights(layer, "labels", label.Name) },
    h("div", { class: "line" },
      h("a", { href: link("pictures", { name: label.Name, kind: "label" }) }, label.Name),
      label.Instances?.length ? h("small", {}, `${label.Instances.length} in the picture`) : null,
      h("span", { class: "value" }, percent(label.Confidence))),
    bar(label.Confidence),
    h("small", { class: "more" }, [under("Parents", label.Parents), under("Category", label.Categories)].filter(Boolean).join(" · "))))));
}

const under = (word, items) => (items?.length ? `${word}: ${names(items).join(", ")}` : "");
const names = (items) => (items ?? []).map((item) => (typeof item === "string" ? item : item.Name));

function faces(record) {
  const all = record.Faces ?? [];
  if (!all.length) return null;
  return section(`Faces (${all.length})`, all.map((face, at) => {
    const emotions = (face.Emotions ?? []).toSorted((a, b) => b.Confidence - a.Confidence).slice(0, 4);
    const facts = [
      face.AgeRange && ["Age", `${face.AgeRange.Low} to ${face.AgeRange.High}`],
      face.Gender && ["Gender", `${face.Gender.Value}, ${percent(face.Gender.Confidence)}`],
      face.Smile && ["Smile", `${face.Smile.Value ? "yes" : "no"}, ${percent(face.Smile.Confidence)}`],
    ].filter(Boolean);
    return h("div", { class: "face" }, h("h4", {}, `Face ${at + 1}`),
      h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      h("ul", { class: "bars small" }, emotions.map((each) => h("li", {}, h("div", { class: "line" },
        h("span", {}, each.Type.toLowerCase()), h("span", { class: "value" }, percent(each.Confidence))), bar(each.Confidence, "face")))));
  }));
}

function celebrities(record) {
  const all = record.Celebrities ?? [];
  if (!all.length) return null;
  return section("Celebrities", h("ul", { class: "plain" }, all.map((each) => h("li", {},
    h("a", { href: link("pictures", { name: each.Name, kind: "celebrity" }) }, each.Name), ` ${percent(each.Confidence)} `,
    (each.Urls ?? []).map((url) => webLink(url))))));
}

function webLink(url) {
  const full = /^https?:\/\//i.test(url) ? url : `https://${url}`;
  const parsed = URL.canParse(full) ? new URL(full) : null;
  return parsed ? h("a", { class: "out", href: parsed.href, target: "_blank", rel: "noopener noreferrer" }, parsed.hostname.replace(/^www\./, ""), h("span", { class: "sr-only" }, " (opens in a new tab)")) : null;
}

function texts(record, layer) {
  const lines = (record.Text ?? []).filter((text) => text.Type !== "WORD");
  if (!lines.length) return null;
  return section("Text", h("ul", { class: "plain" }, lines.map((line) => h("li", { on: lights(layer, "text", line.Text) }, h("q", {}, line.Text), h("small", {}, ` ${percent(line.Confidence)}`)))));
}

function moderation(record) {
  const all = record.Moderation ?? [];
  if (!all.length) return null;
  return section("Moderation", h("ul", { class: "plain" }, all.map((each) => h("li", {},
    h("a", { href: link("pictures", { name: each.Name, kind: "moderation" }) }, each.Name), ` ${percent(each.Confidence)}`,
    each.ParentName ? h("small", {}, ` in ${each.ParentName}`) : null))));
}

function colours(record) {
  const properties = record.ImageProperties ?? {};
  const all = properties.DominantColors ?? [];
  const quality = properties.Quality;
  if (!all.length && !quality) return null;
  return section("Colours and quality",
    h("ul", { class: "swatches" }, all.map((colour) => h("li", {},
      h("span", { class: "swatch", style: { "background-color": `rgb(${+colour.Red} ${+colour.Green} ${+colour.Blue})` }, "aria-hidden": "true" }),
      h("span", {}, colour.CSSColor || colour.SimplifiedColor || colour.HexCode), h("small", {}, `${colour.HexCode ?? ""} ${Math.round(colour.PixelPercent)} %`)))),
    quality && h("dl", {}, ["Brightness", "Sharpness", "Contrast"].filter((name) => name in quality).map((name) => [h("dt", {}, name), h("dd", {}, Number(quality[name]).toFixed(1))])));
}

function details(image) {
  const record = image.record;
  const converted = record.Converted;
  const facts = [
    ["Uploaded", moment(image.uploadedAt)],
    image.taggedAt && ["Analysed", [moment(image.taggedAt), record.DurationMs !== undefined ? ` in ${record.DurationMs} ms` : ""]],
    image.width && ["Size", `${image.width} × ${image.height}, ${size(image.sizeBytes)}`],
    !image.width && ["Size", size(image.sizeBytes)],
    record.ContentType && ["Type", record.ContentType],
    converted && ["Analysed as", `a copy of ${converted.Width} × ${converted.Height}: ${converted.Reason ?? converted.From}`],
    ["Key", h("code", {}, image.key)],
  ].filter(Boolean);
  return section("Details", h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

function actions(image) {
  const state = h("p", { class: "quiet", role: "status" });
  const busy = (on) => [again, remove].forEach((each) => { each.disabled = on; });
  const run = async (said, work) => {
    busy(true);
    put(state, said);
    try { await work(); } catch (error) { busy(false); put(state, error.message); }
  };
  const again = button("retry", "Analyse again", () => run("Analysing…", async () => {
    const done = await analyseAgain(image);
    announce(`${image.fileName} is analysed`);
    if (done && shown?.id === image.id) { shown.way.changed(done); load(image.id); }
  }));
  const remove = button("trash", "Delete", () => {
    if (!remove.dataset.sure) {
      remove.dataset.sure = "1";
      put(remove.lastChild, "Really delete?");
      setTimeout(() => { delete remove.dataset.sure; put(remove.lastChild, "Delete"); }, 4000);
      return;
    }
    run("Deleting…", async () => {
      await api.remove(image.id);
      await recordOf(image.id, (now) => now === null);
      announce(`${image.fileName} is deleted`);
      if (shown?.id === image.id) { const { way } = shown; way.close(); way.gone(image.id); }
    });
  }, { kind: "danger" });
  return h("div", { class: "foot-actions" }, again, remove, state);
}

/** Have an image analysed again; resolves with it once there is a new record. */
export async function analyseAgain(image) {
  await api.retag(image.id);
  return recordOf(image.id, (now) => now === null || now.taggedAt !== image.taggedAt);
}


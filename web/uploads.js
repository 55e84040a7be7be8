// Uploads: many files at once, each with its own progress and outcome. The server says where each may go; the bytes go
// to the bucket itself; then its record is awaited.

import { api } from "./api.js";
import { announce, button, h, icon, put } from "./dom.js";
import { recordOf } from "./live.js";
import { link } from "./route.js";
import { analyseAgain } from "./picture.js";
import { count, labelLinks, photo, reason, size, sourceMark } from "./show.js";

const AT_ONCE = 5;
const FORMS_PER_CALL = 25;
const SHOWN_AT_MOST = 400;
const FORM_AGE_MS = 240_000;

/** The queue and its tray at the edge of the page. `added(image)` is told each new picture. */
export class Uploads {
  constructor(tray, config, added) {
    this.tray = tray;
    this.config = config;
    this.added = added;
    this.items = [];
    this.running = 0;
    this.list = h("ul", { class: "uploads", tabindex: "0", "aria-label": "Files" });
    this.title = h("h2", {});
    this.progress = h("progress", { max: 1, value: 0, "aria-label": "All uploads" });
    put(tray, h("header", {}, this.title,
      button("down", "", () => this.fold(), { label: "Show or hide the list", kind: "quiet fold" }),
      button("close", "", () => this.clear(), { label: "Close the list of uploads", kind: "quiet" })), this.progress, this.list);
    addEventListener("beforeunload", (event) => { if (this.busy) event.preventDefault(); });
  }

  get busy() { return this.items.some((item) => ["waiting", "sending"].includes(item.state)); }

  /** Take files up; `files` are `{file, path}`. */
  add(files) {
    if (!files.length) return;
    this.tray.hidden = false;
    for (const { file, path } of files) {
      const item = { file, path, name: path.split("/").pop(), state: "waiting", sent: 0 };
      this.items.push(item);
      item.row = h("li", {});
      if (this.list.children.length < SHOWN_AT_MOST) this.list.prepend(item.row);
      this.draw(item);
    }
    announce(`${count(files.length, "file")} to upload`);
    this.next();
  }

  fold() { this.tray.classList.toggle("folded"); }

  clear() {
    if (this.busy) { this.fold(); return; }
    this.items.forEach((item) => item.local && URL.revokeObjectURL(item.local));
    this.items = [];
    put(this.list);
    this.tray.hidden = true;
  }

  next() {
    this.total();
    while (this.running < AT_ONCE) {
      const item = this.items.find((each) => each.state === "waiting" && !each.taken);
      if (!item) return;
      item.taken = true;
      this.running += 1;
      this.send(item).finally(() => { this.running -= 1; item.taken = false; this.next(); });
    }
  }

  async send(item) {
    try {
      const form = await this.form(item);
      if (form.refusal) { this.end(item, "refused", form.refusal); return; }
      item.id = form.id;
      this.set(item, "sending");
      await post(form, item.file, (share) => { item.sent = share; this.draw(item); this.total(); });
    } catch (error) {
      this.end(item, "failed", error.message);
      return;
    }
    this.set(item, "analysing");
    this.outcome(item, recordOf(item.id));
  }

  async outcome(item, record) {
    const image = await record;
    item.image = image;
    if (!image) { this.end(item, "refused", "It was deleted meanwhile."); return; }
    this.added(image);
    this.end(item, image.status === "FAILED" ? "bad" : "done");
  }

  /** An upload form for a file; those of the files behind it are asked for in the same call. */
  async form(item) {
    if (item.form && Date.now() - item.form.at < FORM_AGE_MS) return item.form;
    if (!item.asked) {
      const batch = [item, ...this.items.filter((each) => each.state === "waiting" && !each.taken && !each.asked && !each.form)].slice(0, FORMS_PER_CALL);
      const asked = this.ask(batch);
      for (const each of batch) each.asked = asked;
    }
    await item.asked;
    return item.form;
  }

  async ask(batch) {
    try {
      const { uploads } = await api.uploads(batch.map(({ file, path }) => ({ name: path, type: file.type, sizeBytes: file.size })));
      uploads.forEach((form, at) => { batch[at].form = { ...form, at: Date.now() }; });
    } finally {
      for (const each of batch) each.asked = null;
    }
  }

  end(item, state, message = "") {
    item.message = message;
    this.set(item, state);
    if (this.items.every((each) => !["waiting", "sending", "analysing"].includes(each.state))) {
      const good = this.items.filter((each) => each.state === "done").length;
      const bad = this.items.length - good;
      announce(`${count(good, "picture")} analysed${bad ? `, ${bad} not` : ""}`);
    }
  }

  set(item, state) {
    item.state = state;
    this.draw(item);
    this.total();
  }

  again(item) {
    if (item.state === "bad") {
      this.set(item, "analysing");
      this.outcome(item, analyseAgain(item.image).catch((error) => { this.end(item, "failed", error.message); return item.image; }));
      return;
    }
    item.form = null;
    item.sent = 0;
    this.set(item, "waiting");
    this.next();
  }

  total() {
    const all = this.items.length;
    const ended = this.items.filter((item) => !["waiting", "sending", "analysing"].includes(item.state)).length;
    const bad = this.items.filter((item) => ["bad", "failed", "refused"].includes(item.state)).length;
    this.title.textContent = ended < all ? `${ended} of ${count(all, "file")}` : `${count(all - bad, "picture")} uploaded${bad ? `, ${bad} with trouble` : ""}`;
    this.progress.value = all ? this.items.reduce((sum, item) => sum + share(item), 0) / all : 0;
  }

  draw(item) {
    const words = {
      waiting: "waiting", sending: `${Math.round(item.sent * 100)} %`, analysing: "analysing…",
    };
    item.local ??= item.file.type.startsWith("image/") && item.file.type !== "image/svg+xml" ? URL.createObjectURL(item.file) : "";
    const said = words[item.state];
    put(item.row,
      item.image ? h("a", { class: "thumb", href: link("pictures", { picture: item.image.id }), "aria-label": `Show ${item.name}` }, photo(item.image.thumbnail ?? item.local)) : h("span", { class: "thumb" }, photo(item.local)),
      h("div", { class: "words" },
        h("strong", { title: item.path }, item.name),
        item.state === "sending" && h("progress", { max: 1, value: item.sent, "aria-label": `Upload of ${item.name}` }),
        said && h("small", {}, `${size(item.file.size)} · ${said}`),
        item.state === "done" && h("div", { class: "chips" }, item.image.labels.length ? labelLinks(item.image.labels.slice(0, 5)) : h("small", {}, "no label reaches the threshold"), sourceMark(item.image.source)),
        item.state === "bad" && h("small", { class: "bad" }, reason(item.image.failure)),
        item.message && h("small", { class: "bad" }, item.message)),
      ["failed", "bad"].includes(item.state) ? button("retry", "", () => this.again(item), { label: `Try ${item.name} again`, kind: "quiet" })
        : h("span", { class: `state ${item.state}` }, item.state === "done" && icon("check"), item.state === "refused" && icon("warn"), item.state === "analysing" && h("span", { class: "spinner", "aria-hidden": "true" })));
  }
}

const share = (item) => ({ waiting: 0, sending: item.sent * 0.9, analysing: 0.95 }[item.state] ?? 1);

/** Send one form; S3 is told nothing but what the server signed. */
function post(form, file, progress) {
  return new Promise((resolve, reject) => {
    const body = new FormData();
    for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
    body.append("file", file, "file");
    const request = new XMLHttpRequest();
    request.open("POST", form.url);
    request.upload.addEventListener("progress", (event) => event.lengthComputable && progress(event.loaded / event.total));
    request.addEventListener("load", () => (request.status < 300 ? resolve() : reject(new Error(refusal(request)))));
    request.addEventListener("error", () => reject(new Error("The upload broke off. Is the network there?")));
    request.send(body);
  });
}

const REFUSALS = {
  EntityTooLarge: "S3 refused it: the file is too large.",
  EntityTooSmall: "S3 refused it: the file is empty.",
  SlowDown: "S3 takes nothing more now; try again in a moment.",
};

function refusal(request) {
  const code = /<Code>(\w+)<\/Code>/.exec(request.responseText)?.[1] ?? "";
  return REFUSALS[code] ?? `S3 refused it (${code || request.status}).`;
}

/** The files of a drop, folders and all, as `{file, path}`. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

async function walk(entry, folder, found) {
  const path = folder + entry.name;
  if (entry.isFile) {
    if (!entry.name.startsWith(".")) found.push({ file: await new Promise((done, fail) => entry.file(done, fail)), path });
    return;
  }
  const reader = entry.createReader();
  for (;;) { // a reader gives at most a hundred at once
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return;
    for (const each of some) await walk(each, `${path}/`, found);
  }
}

/** The files of a file field, as `{file, path}`. */
export const picked = (input) => [...input.files].filter((file) => !file.name.startsWith(".")).map((file) => ({ file, path: file.webkitRelativePath || file.name }));

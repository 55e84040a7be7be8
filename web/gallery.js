// The pictures: newest first or found by a search, page after page as one scrolls, and new ones by themselves.

import { api } from "./api.js";
import { announce, button, h, icon, put, trouble } from "./dom.js";
import { everyNowAndThen } from "./live.js";
import { closePicture, openPicture } from "./picture.js";
import { change, link } from "./route.js";
import { searchBar } from "./search.js";
import { count, percent, photo, reason, sourceMark, summary } from "./show.js";

const PAGE = 40;
const NEAR_TOP_PX = 300;

/** The view. `context`: configuration, and what to do to upload. */
export function picturesView(main, params, context) {
  const view = new Gallery(main, params, context);
  view.start();
  return view;
}

class Gallery {
  constructor(main, params, context) {
    this.main = main;
    this.context = context;
    this.params = params;
    this.images = new Map();
    this.cursor = null;
    this.isLoading = false;
    this.fresh = [];
    this.grid = h("ul", { class: "grid", "aria-label": "Pictures" });
    this.note = h("div", { class: "note" });
    this.foot = h("div", { class: "foot" });
    this.pill = h("button", { type: "button", class: "pill", hidden: true, on: { click: () => this.showFresh() } });
  }

  get isSearch() { return Boolean(this.params.name); }

  start() {
    const least = this.context.config.minConfidence;
    put(this.main,
      h("h1", { class: "sr-only" }, "Pictures"),
      searchBar({ params: this.params, least }),
      this.isSearch ? this.heading() : null,
      this.pill, this.note, this.grid, this.foot);
    this.observer = new IntersectionObserver(([entry]) => entry.isIntersecting && this.more(), { rootMargin: "800px" });
    this.more().then(() => {
      this.observer.observe(this.foot);
      this.stop = this.isSearch ? null : everyNowAndThen(() => this.look());
    });
    this.opened();
  }

  heading() {
    const kinds = { celebrity: "the celebrity ", moderation: "the moderation category " };
    return h("div", { class: "found" },
      h("p", {}, `Pictures with ${kinds[this.params.kind] ?? ""}`, h("strong", {}, `“${this.params.name}”`),
        this.params.min ? ` at ${this.params.min} % or more` : ""),
      h("a", { class: "button quiet", href: "#/" }, icon("close"), h("span", {}, "All pictures")));
  }

  /** Other parameters of the same view; returns false when the view has to be made anew. */
  update(params) {
    const same = ["name", "kind", "min", "status"].every((name) => (params[name] ?? "") === (this.params[name] ?? ""));
    if (!same && params.name && params.name === this.params.name && params.kind === this.params.kind) {
      this.params = params; // the slider was moved: the field and the slider stay as they are
      this.main.querySelector(".found")?.replaceWith(this.heading());
      this.restart();
      return true;
    }
    if (same) {
      this.params = params;
      this.opened();
    }
    return same;
  }

  restart() {
    this.images.clear();
    this.cursor = null;
    this.isLoading = false;
    this.generation = (this.generation ?? 0) + 1;
    put(this.grid);
    this.more();
  }

  unmount() {
    this.stop?.();
    this.observer?.disconnect();
    closePicture();
  }

  opened() {
    if (this.params.picture) {
      openPicture(this.params.picture, {
        ids: () => [...this.images.keys()],
        to: (id) => change({ picture: id }, { replace: true }),
        close: () => this.closed(),
        gone: (id) => this.remove(id),
        changed: (image) => this.images.has(image.id) && this.replace(image),
      });
    } else closePicture();
  }

  closed() {
    const id = this.params.picture;
    change({ picture: null });
    this.grid.querySelector(`[data-id="${CSS.escape(id)}"] a`)?.focus({ preventScroll: true });
  }

  ask(cursor) {
    if (!this.isSearch) return api.images({ limit: PAGE, cursor, status: this.params.status });
    const { name, kind, min } = this.params;
    return api.search({ name, kind: kind || "label", minConfidence: min, limit: PAGE, cursor });
  }

  async more() {
    if (this.isLoading || (this.cursor === null && this.images.size)) return;
    this.isLoading = true;
    const generation = this.generation;
    if (!this.images.size) put(this.grid, Array.from({ length: 8 }, () => h("li", { class: "card ghost", "aria-hidden": "true" })));
    try {
      const page = await this.ask(this.cursor);
      if (generation !== this.generation) return;
      if (!this.images.size) put(this.grid);
      for (const image of page.images) this.append(image);
      this.cursor = page.cursor;
      this.state();
      if (this.cursor && this.foot.getBoundingClientRect().top < innerHeight + 800) {
        this.isLoading = false;
        await this.more(); // a page may hold fewer than the screen
      }
    } catch (error) {
      if (!this.images.size) put(this.grid);
      put(this.foot, trouble(error, () => { put(this.foot); this.isLoading = false; this.more(); }));
      return;
    } finally {
      if (generation === this.generation) this.isLoading = false;
    }
  }

  state() {
    put(this.foot, this.cursor && button("down", "Show more", () => this.more(), { kind: "quiet" }));
    if (this.images.size) put(this.note);
    else put(this.note, this.isSearch ? this.nothingFound() : this.nothingYet());
    if (this.isSearch) announce(this.images.size ? count(this.images.size, "picture") : "Nothing found");
  }

  nothingFound() {
    return h("div", { class: "empty" }, icon("search"), h("h2", {}, "Nothing found"),
      h("p", {}, `No picture shows “${this.params.name}”`,
        this.params.min ? ` with a confidence of ${this.params.min} % or more. A lower confidence may find some.` : ". The suggestions list what there is."),
      h("a", { class: "button", href: "#/" }, "Show all pictures"));
  }

  nothingYet() {
    return h("div", { class: "empty" }, icon("image"), h("h2", {}, "No pictures yet"),
      h("p", {}, "Drop pictures or whole folders anywhere on this page. Their labels appear here by themselves."),
      button("upload", "Choose pictures", this.context.choose, { kind: "primary" }));
  }

  append(image) {
    if (this.images.has(image.id)) return;
    this.images.set(image.id, image);
    this.grid.append(this.card(image));
  }

  /** Something new that belongs at the top; called for uploads, and when others have uploaded. */
  add(image) {
    if (this.isSearch || this.params.status) return;
    if (this.images.has(image.id)) { this.replace(image); return; }
    this.images = new Map([[image.id, image], ...this.images]);
    this.grid.prepend(this.card(image));
    put(this.note);
  }

  replace(image) {
    this.images.set(image.id, image);
    this.grid.querySelector(`[data-id="${CSS.escape(image.id)}"]`)?.replaceWith(this.card(image));
  }

  remove(id) {
    this.images.delete(id);
    this.grid.querySelector(`[data-id="${CSS.escape(id)}"]`)?.remove();
    this.state();
  }

  async look() {
    const page = await this.ask(null);
    const known = this.images;
    const changed = page.images.filter((image) => known.has(image.id) && known.get(image.id).taggedAt !== image.taggedAt);
    for (const image of changed) this.replace(image);
    const fresh = page.images.filter((image) => !known.has(image.id));
    if (!fresh.length) return changed.length > 0;
    this.fresh = fresh;
    if (scrollY < NEAR_TOP_PX && !this.params.picture) this.showFresh();
    else {
      this.pill.hidden = false;
      this.pill.textContent = `${count(fresh.length, "new picture")}`;
    }
    return true;
  }

  showFresh() {
    for (const image of this.fresh.toReversed()) this.add(image);
    this.fresh = [];
    if (!this.pill.hidden) scrollTo({ top: 0 });
    this.pill.hidden = true;
  }

  card(image) {
    const failed = image.status === "FAILED";
    const href = link("pictures", { ...this.params, picture: image.id });
    return h("li", { class: `card ${image.status.toLowerCase()}`, data: { id: image.id } },
      h("a", { href },
        photo(image.thumbnail),
        h("span", { class: "caption" },
          h("span", { class: "name" }, image.fileName),
          h("span", { class: failed ? "labels bad" : "labels", title: failed ? reason(image.failure) : null },
            failed ? [icon("warn"), " ", reason(image.failure)] : summary(image)),
          h("span", { class: "marks" },
            image.match && h("span", { class: "mark match" }, percent(image.match.confidence)),
            image.status === "PARTIAL" && h("span", { class: "mark partial", title: "Some of the analysers failed" }, "partial"),
            image.moderation.length > 0 && h("span", { class: "mark moderation" }, image.moderation[0]),
            sourceMark(image.source)))));
  }
}

/** Pictures that could not be analysed, each with its reason and a way to try again. */
export function failuresView(main, _, context) {
  const list = h("ul", { class: "rows", "aria-label": "Failed pictures" });
  const note = h("div");
  const foot = h("div", { class: "foot" });
  put(main, h("h1", {}, "Failures"), note, list, foot);

  function row(image) {
    const state = h("span", { class: "state", role: "status" });
    const again = button("retry", "Analyse again", async () => {
      again.disabled = true;
      put(state, "asked…");
      try {
        const done = await context.again(image);
        if (done && done.status === "TAGGED") {
          put(state, icon("check"), " ", summary(done));
          announce(`${image.fileName} is analysed: ${summary(done)}`);
        } else {
          again.disabled = false;
          put(state, "It failed again.");
        }
      } catch (error) {
        again.disabled = false;
        put(state, error.message);
      }
    });
    const item = h("li", {},
      h("a", { href: link("pictures", { picture: image.id }), class: "thumb", "aria-label": `Show ${image.fileName}` }, photo(image.thumbnail)),
      h("div", { class: "words" }, h("strong", {}, image.fileName), h("span", {}, image.failure ? reason(image.failure) : "Some of its analyses failed; the others are there."),
        h("small", {}, image.failure?.code ?? image.status, " · ", image.key)),
      state, again);
    return item;
  }

  async function load(status = "FAILED", cursor = null) {
    try {
      const page = await api.images({ status, limit: PAGE, cursor });
      list.append(...page.images.map(row));
      if (status === "FAILED" && !page.cursor) { await load("PARTIAL"); return; }
      put(foot, page.cursor && button("down", "Show more", () => load(status, page.cursor), { kind: "quiet" }));
      put(note, !list.children.length && h("div", { class: "empty" }, icon("check"), h("h2", {}, "Nothing failed"),
        h("p", {}, "A picture that cannot be analysed is listed here with its reason.")));
    } catch (error) {
      put(note, trouble(error, () => load(status, cursor)));
    }
  }
  load();
  return { update: () => true, unmount: () => {} };
}

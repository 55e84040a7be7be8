// The search: a field with suggestions (ARIA combobox pattern) and the least confidence.

import { api } from "./api.js";
import { h, icon, put } from "./dom.js";
import { change, go } from "./route.js";
import { count } from "./show.js";

const KINDS = { label: "label", celebrity: "celebrity", moderation: "moderation" };
const TYPING_MS = 120;
const SLIDING_MS = 200;

/** The bar above the pictures. `least` is the confidence below which nothing is recorded. */
export function searchBar({ params, least }) {
  const list = h("ul", { id: "suggestions", role: "listbox", "aria-label": "Suggestions", class: "suggestions", hidden: true });
  const input = h("input", {
    id: "search", type: "search", role: "combobox", autocomplete: "off", spellcheck: "false", enterkeyhint: "search",
    placeholder: "Search for a label, a celebrity…", "aria-label": "Search for a label, a celebrity or a moderation category",
    "aria-expanded": "false", "aria-controls": "suggestions", "aria-autocomplete": "list", maxlength: 256,
    value: params.name ?? "",
  });
  const state = { shown: [], active: -1, request: null, timer: 0 };

  function close() {
    clearTimeout(state.timer);
    state.request?.abort();
    list.hidden = true;
    state.active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function choose(suggestion) {
    input.value = suggestion.name;
    close();
    go("pictures", { ...params, name: suggestion.name, kind: suggestion.kind, picture: null });
  }

  function mark(index) {
    state.active = index;
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === index)));
    const item = list.children[index];
    if (item) {
      input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  async function suggest() {
    state.request?.abort();
    state.request = new AbortController();
    try {
      const { suggestions } = await api.suggestions(input.value.trim(), state.request.signal);
      if (document.activeElement !== input) return;
      state.shown = suggestions;
      put(list, suggestions.map((each, at) => h("li", {
        id: `suggestion-${at}`, role: "option", "aria-selected": "false",
        on: { pointerdown: (event) => { event.preventDefault(); choose(each); } },
      }, h("span", {}, each.name), h("small", {}, each.kind === "label" ? count(each.count, "picture") : `${KINDS[each.kind]} · ${count(each.count, "picture")}`))));
      list.hidden = suggestions.length === 0;
      input.setAttribute("aria-expanded", String(!list.hidden));
      mark(-1);
    } catch { /* without suggestions the field still searches */ }
  }

  function submit() {
    const name = input.value.trim();
    const known = state.shown[state.active] ?? state.shown.find((each) => each.name.toLowerCase() === name.toLowerCase());
    if (known) choose(known);
    else {
      close();
      go("pictures", name ? { ...params, name, kind: "label", picture: null } : {});
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(state.timer);
    if (!input.value && params.name) { close(); go("pictures", {}); return; }
    state.timer = setTimeout(suggest, TYPING_MS);
  });
  input.addEventListener("focus", suggest);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && !list.hidden) {
      event.preventDefault();
      const length = state.shown.length;
      mark((state.active + steps[event.key] + length + (state.active < 0 && event.key === "ArrowUp" ? 1 : 0)) % length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      submit();
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    }
  });

  return h("form", { class: "search", role: "search", on: { submit: (event) => { event.preventDefault(); submit(); } } },
    h("div", { class: "field" }, icon("search"), input, list),
    params.name ? confidence(params, least) : null);
}

function confidence(params, least) {
  const value = Math.max(least, Number(params.min) || least);
  const shown = h("output", { for: "least" }, `${value} %`);
  let timer = 0;
  const slider = h("input", { id: "least", type: "range", min: Math.floor(least), max: 100, step: 1, value,
    "aria-label": "Least confidence in percent",
    on: { input: () => {
      shown.textContent = `${slider.value} %`;
      clearTimeout(timer);
      timer = setTimeout(() => change({ min: Number(slider.value) > least ? slider.value : null }, { replace: true }), SLIDING_MS);
    } } });
  return h("label", { class: "slider" }, h("span", {}, "Confidence at least"), slider, shown);
}

// The address bar is the page's state: `#/view?name=value`. Going back is going back.

/** View and parameters of the address. */
export function current() {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  return { view: path.replace(/^\//, "") || "pictures", params: Object.fromEntries(new URLSearchParams(query || "")) };
}

/** The address of a view; parameters without a value are left out. */
export function link(view, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return `#/${view === "pictures" ? "" : view}${text ? `?${text}` : ""}`;
}

/** Go to a view. */
export function go(view, params, { replace = false } = {}) {
  const target = link(view, params);
  if (target === (location.hash || "#/")) return;
  if (replace) {
    history.replaceState(null, "", target);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = target;
  }
}

/** Change some parameters of the view that is shown. */
export function change(params, options) {
  const now = current();
  go(now.view, { ...now.params, ...params }, options);
}

// Calls to the API beside the page. Every failure is an ApiError with a sentence for a person.

import { renewed, token } from "./auth.js";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const RETRIED = new Set([429, 502, 503, 504]);
const PAUSES_MS = [200, 600, 1500];

/** The address of a route, relative to where the page lies (on AWS under a stage's name). */
export function address(path, query = {}) {
  const url = new URL(path, document.baseURI);
  url.hash = "";
  url.search = "";
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

async function once(method, url, body, signal) {
  const headers = { Accept: "application/json" };
  const bearer = await token();
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(url, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is the environment up, and the network there?", 0);
  }
}

async function call(method, path, { query, body, signal } = {}) {
  const url = address(path, query);
  let answer = await once(method, url, body, signal);
  if (answer.status === 401 && await renewed()) answer = await once(method, url, body, signal);
  for (const pause of PAUSES_MS) {
    if (!RETRIED.has(answer.status)) break;
    await new Promise((resolve) => setTimeout(resolve, pause));
    answer = await once(method, url, body, signal);
  }
  if (answer.status === 401) dispatchEvent(new Event("signed-out"));
  const content = await answer.json().catch(() => null);
  if (answer.ok && content !== null) return content;
  throw new ApiError(content?.title || content?.message || `The server answered ${answer.status}.`, answer.status);
}

export const api = {
  images: (query, signal) => call("GET", "api/images", { query, signal }),
  search: (query, signal) => call("GET", "api/search", { query, signal }),
  suggestions: (q, signal) => call("GET", "api/suggestions", { query: { q, limit: 12 }, signal }),
  counts: () => call("GET", "api/counts"),
  alerts: (query) => call("GET", "api/alerts", { query }),
  image: (id, signal) => call("GET", `api/images/${encodeURIComponent(id)}`, { signal }),
  lookup: (ids) => call("POST", "api/images/lookup", { body: { ids } }),
  uploads: (files) => call("POST", "api/uploads", { body: { files } }),
  retag: (id) => call("POST", `api/images/${encodeURIComponent(id)}/retag`),
  remove: (id) => call("DELETE", `api/images/${encodeURIComponent(id)}`),
};

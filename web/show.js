// Small things that several views show.

import { h, icon } from "./dom.js";
import { link } from "./route.js";

const SOURCES = {
  synthetic: ["invented", "These labels are invented, because nobody has described this picture yet. The same picture always gets the same ones."],
  authored: ["authored", "Somebody wrote this answer for this picture (fixtures/rekognition/authored)."],
  recorded: ["recorded", "Amazon Rekognition gave this answer once, and it was recorded."],
};

/** A mark on answers that do not come from Amazon Rekognition now. */
export function sourceMark(source) {
  const found = SOURCES[source];
  return found ? h("span", { class: `mark ${source}`, title: found[1] }, found[0]) : null;
}

/** What such a mark means, as a sentence; empty for real answers. */
export const sourceNote = (source) => SOURCES[source]?.[1] ?? "";

export const percent = (value) => `${value < 99.95 ? value.toFixed(1) : "100"} %`;
export const count = (number, noun, nouns = `${noun}s`) => `${number.toLocaleString("en")} ${number === 1 ? noun : nouns}`;

/** A size for a person. */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "";
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A moment, as the reader's own clock shows it. */
export function moment(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? h("span", {}, iso || "") : h("time", { datetime: iso, title: iso }, WHEN.format(date));
}

/** A picture from the bucket; where it cannot be shown, a drawing takes its place. */
export function photo(url, { alt = "", lazy = true, className = "photo" } = {}) {
  const blank = () => h("span", { class: `${className} blank`, role: alt ? "img" : null, "aria-label": alt || null }, icon("image"));
  if (!url) return blank();
  const image = h("img", { class: className, alt, crossorigin: "anonymous", decoding: "async",
    loading: lazy ? "lazy" : "eager", src: url });
  image.addEventListener("error", () => image.replaceWith(blank()), { once: true });
  return image;
}

/** Labels as links that search for them. */
export function labelLinks(labels, kind = "label") {
  return labels.map((label) => h("a", { class: "chip", href: link("pictures", { name: label.name, kind }) },
    label.name, h("small", {}, Math.round(label.confidence))));
}

/** What an image shows, in a few words. */
export function summary(image) {
  if (image.failure) return image.failure.code;
  const names = image.labels.slice(0, 3).map((label) => label.name);
  return names.join(", ") || "no label reaches the threshold";
}

const REASONS = {
  InvalidImageFormatException: "This is not a picture that Rekognition can read: the file is damaged or of another kind.",
  ImageTooLargeException: "The picture has more bytes or pixels than Rekognition takes.",
  EmptyObject: "The file is empty.",
};

/** Why an image failed, as a sentence. */
export const reason = (failure) => REASONS[failure.code] ?? (failure.message || failure.code);

// What changes by itself: records of uploads as soon as they are stored, and what others upload.
// Nothing waits a fixed time, and nothing is asked while the page is hidden.

import { api } from "./api.js";

const FIRST_MS = 40;
const LAST_MS = 5000;
const GROWTH = 1.35;
const IDLE_FIRST_MS = 1500;
const IDLE_LAST_MS = 15000;
const PER_CALL = 100;

/** Calls `step` again and again: at once when woken, then less and less often, never while the page is hidden. */
class Beat {
  constructor(step, first, last) {
    Object.assign(this, { step, first, last, pause: first, timer: 0, running: false, again: false });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.wake(); });
  }

  /** Begin anew with the shortest pause. */
  wake() {
    this.pause = this.first;
    if (this.running) this.again = true;
    else this.schedule();
  }

  schedule() {
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = setTimeout(() => this.run(), this.pause);
  }

  async run() {
    this.running = true;
    let goOn = true;
    try {
      goOn = await this.step();
    } catch {
      this.pause = Math.min(this.last, Math.max(1000, this.pause * 2));
    }
    this.running = false;
    if (this.again) this.pause = this.first;
    else this.pause = Math.min(this.last, this.pause * GROWTH);
    if (goOn || this.again) this.schedule();
    this.again = false;
  }
}

const waiting = new Map();

const records = new Beat(async () => {
  const ids = [...waiting.keys()].slice(0, PER_CALL);
  if (!ids.length) return false;
  const { images } = await api.lookup(ids);
  const found = new Map(images.map((image) => [image.id, image]));
  for (const id of ids) {
    const wanted = waiting.get(id);
    const image = found.get(id) ?? null;
    if (wanted && wanted.until(image)) {
      waiting.delete(id);
      wanted.resolve(image);
    } else if (wanted) { // those that were asked for go to the end, so that each has its turn
      waiting.delete(id);
      waiting.set(id, wanted);
    }
  }
  return waiting.size > 0;
}, FIRST_MS, LAST_MS);

/** Wait for an image's record; `until` says which one is meant. Resolves with it, or with null once it is gone. */
export function recordOf(id, until = (image) => image !== null) {
  return new Promise((resolve) => {
    waiting.set(id, { until, resolve });
    records.wake();
  });
}

/** Look for something new now and then. `step` returns whether there was something; stop by calling the result. */
export function everyNowAndThen(step) {
  let stopped = false;
  const beat = new Beat(async () => {
    if (stopped) return false;
    if (await step()) beat.pause = IDLE_FIRST_MS / GROWTH;
    return !stopped;
  }, IDLE_FIRST_MS, IDLE_LAST_MS);
  beat.schedule();
  const wake = () => beat.wake();
  addEventListener("focus", wake);
  return () => { stopped = true; clearTimeout(beat.timer); removeEventListener("focus", wake); };
}

// This browser's reservations. Only who reserves, which ids there are and what is still on its way
// are kept here; what became of them is always asked.

import { ask, mayPass, pause, post } from "./api.js";

const KEPT = "stockade.reservations";
const OWNER = "stockade.owner";
const HOLD = "stockade.hold";
const MOST = 20;
/** How long a request that was cut off by a reload is still what somebody wants. */
const INTENT_LASTS = 2 * 60_000;
const ATTEMPTS = 5;

const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function read(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Private windows may refuse: then they last as long as the page.
  }
}

const owner = read(OWNER, null) ?? `guest-${random()}`;
write(OWNER, owner);

/** `{ key, sku, quantity, ttl, slug, title, variant, at, id? }`, the newest first. */
let kept = read(KEPT, []);
/** What the shop last said of each, and when. */
const states = new Map();
const deadlines = new Map();
const changes = new EventTarget();

const keep = () => write(KEPT, (kept = kept.slice(0, MOST)));
const told = () => changes.dispatchEvent(new Event("change"));

export const onChange = (act) => changes.addEventListener("change", act);

/** All of them that the shop has told about, the newest first. */
export const all = () => kept.filter(({ id }) => states.has(id)).map((one) => ({ ...one, ...states.get(one.id) }));

export const hold = {
  get: () => read(HOLD, 900),
  set: (seconds) => write(HOLD, seconds),
};

function heard(reservation) {
  const { id, state, remaining_seconds: remaining } = reservation;
  states.set(id, { state, remaining, asOf: performance.now() });
  clearTimeout(deadlines.get(id));
  // Timers hold at most 24 days.
  if (state === "held") deadlines.set(id, setTimeout(() => settle(id), Math.min(remaining * 1000 + 50, 2 ** 31 - 1)));
  told();
  return reservation;
}

/**
 * Reserves, under a key that stays the same until the outcome is known: pressing twice, a lost
 * answer or a reload never reserve twice. `waiting()` is called when it takes a second attempt.
 */
export async function reserve({ sku, quantity, slug, title, variant }, waiting = () => {}) {
  const pending = kept.find((one) => !one.id && one.sku === sku && one.quantity === quantity);
  const intent = pending ?? { key: random(), sku, quantity, ttl: hold.get(), slug, title, variant, at: Date.now() };
  if (!pending) kept.unshift(intent);
  keep();
  return resolve(intent, waiting);
}

async function resolve(intent, waiting) {
  const body = { lines: [{ sku: intent.sku, quantity: intent.quantity }], owner, ttl_seconds: intent.ttl };
  for (let attempt = 1; ; attempt++) {
    try {
      const reservation = await post("/reserve", body, { "Idempotency-Key": intent.key });
      intent.id = reservation.id;
      keep();
      return heard(reservation);
    } catch (error) {
      if (!mayPass(error)) {
        forget(intent);
        throw error;
      }
      // The outcome is unknown: the key stays, and the next attempt finds what became of it.
      if (attempt === ATTEMPTS) throw error;
      waiting();
      await pause(400 * 2 ** attempt);
    }
  }
}

function forget(intent) {
  kept = kept.filter((one) => one.key !== intent.key);
  states.delete(intent.id);
  clearTimeout(deadlines.get(intent.id));
  keep();
  told();
}

export const dismiss = (id) => forget(kept.find((one) => one.id === id) ?? {});

/** Confirms or releases. A refusal is told with the state that it is really in. */
export async function step(id, name) {
  for (let attempt = 1; ; attempt++) {
    try {
      return heard(await post(`/reservations/${encodeURIComponent(id)}/${name}`, { owner }));
    } catch (error) {
      if (!mayPass(error) || attempt === ATTEMPTS) {
        await refresh(id).catch(() => {});
        throw error;
      }
      await pause(300 * 2 ** attempt);
    }
  }
}

/** Asks how a reservation is. One that the shop has forgotten is forgotten here as well. */
export async function refresh(id) {
  try {
    return heard(await ask(`/reservations/${encodeURIComponent(id)}`));
  } catch (error) {
    if (error.status === 404) dismiss(id);
    throw error;
  }
}

/** After the deadline: asks until the shop says that it is over. */
async function settle(id) {
  for (let attempt = 0; attempt < 8; attempt++) {
    const reservation = await refresh(id).catch(() => null);
    if (reservation && (reservation.state !== "held" || reservation.remaining_seconds > 1)) return;
    await pause(500 + attempt * 250);
  }
}

export const refreshAll = () => Promise.allSettled(kept.filter(({ id }) => id).map(({ id }) => refresh(id)));

/** Takes up what was here before the page was loaded. */
export async function resume() {
  for (const intent of kept.filter(({ id }) => !id)) {
    if (Date.now() - intent.at < INTENT_LASTS) resolve(intent, () => {}).catch(() => {});
    else forget(intent);
  }
  await refreshAll();
}

// Another tab has reserved or let go.
window.addEventListener("storage", (event) => {
  if (event.key !== KEPT) return;
  kept = read(KEPT, []);
  refreshAll();
  told();
});
document.addEventListener("visibilitychange", () => document.hidden || refreshAll());

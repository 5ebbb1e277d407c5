// Stock as it changes, pushed by the shop.

import { query } from "./api.js";

/** The most that the shop follows in one stream. */
const MOST = 500;

const newer = (a, b) => a.epoch > b.epoch || (a.epoch === b.epoch && a.number > b.number);

/**
 * Follows the stock of these SKUs. `heard(item)` is told of each, at first and whenever it changes;
 * `state(connected)` whether changes are heard. Returns what ends it.
 */
export function follow(skus, heard, state) {
  if (!skus.length) return () => {};
  const versions = new Map();
  let source, again;
  const connect = () => {
    source = new EventSource(`/events/stock?${query(skus.slice(0, MOST).map((sku) => ["sku", sku]))}`);
    source.addEventListener("open", () => state(true));
    source.addEventListener("snapshot", (event) => {
      versions.clear();
      JSON.parse(event.data).items.forEach(heard);
    });
    source.addEventListener("stock", (event) => {
      const item = JSON.parse(event.data);
      const known = versions.get(item.sku);
      if (known && !newer(item.version, known)) return;
      versions.set(item.sku, item.version);
      heard(item);
    });
    source.addEventListener("error", () => {
      state(false);
      // A browser gives up where the shop refused; the shop may have room later.
      if (source.readyState === EventSource.CLOSED) again = setTimeout(connect, 5000 + Math.random() * 5000);
    });
  };
  connect();
  return () => {
    clearTimeout(again);
    source.close();
  };
}

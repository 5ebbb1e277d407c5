// A product in a list.

import { ask, query } from "./api.js";
import { art } from "./art.js";
import { h } from "./dom.js";
import { marked } from "./highlight.js";
import { address } from "./location.js";
import { colour, count, money, naming, stock } from "./words.js";

const MOST_SKUS = 400;

const first = (hit, field) => hit.fields[field]?.[0];

export function card(hit) {
  const title = first(hit, "title") ?? hit.id;
  const colours = hit.fields["options.color"] ?? [];
  const said = h("span", { class: "card-stock" });
  if (first(hit, "in_stock") === "false") tell(said, { state: "out_of_stock" });
  const brand = first(hit, "brand") ?? first(hit, "attributes.author") ?? hit.fields.category?.at(-1);
  const description = hit.highlights.find(({ field, matches }) => field === "description" && matches.length);
  return h("li", { class: "card", "data-id": hit.id },
    h("a", { href: address({ product: first(hit, "slug") ?? hit.id }) },
      h("div", { class: "card-art" }, art({ id: hit.id, type: first(hit, "product_type"), kind: hit.fields.category?.at(-1), colour: colours[0] ?? first(hit, "attributes.wood_type") ?? first(hit, "attributes.material") }), said),
      h("p", { class: "card-brand" }, brand ? marked(hit, hit.fields.brand ? "brand" : "", brand) : "\u00a0"),
      h("h3", {}, marked(hit, "title", title)),
      description && h("p", { class: "card-why" }, marked(hit, "description", "")),
      h("p", { class: "card-foot" }, h("span", { class: "price" }, price(hit)), swatches(colours))));
}

function price(hit) {
  const prices = (hit.fields.price ?? []).filter(Number.isFinite);
  const currency = first(hit, "currency");
  if (!prices.length || !currency) return "On request";
  const least = Math.min(...prices);
  return prices.length > 1 && Math.max(...prices) > least ? [h("small", {}, "from "), money(least, currency)] : money(least, currency);
}

function swatches(names) {
  const known = names.filter(colour);
  if (known.length < 2) return null;
  const shown = known.slice(0, 5).map((name) => h("i", { vars: { "--swatch": colour(name) } }));
  return h("span", { class: "swatches", role: "img", "aria-label": `${names.length} colours` }, shown, known.length > 5 ? h("small", {}, `+${known.length - 5}`) : null);
}

function tell(said, availability) {
  const { text, look } = stock(availability);
  const worth = look === "none" || look === "low";
  said.className = `card-stock ${look}`;
  said.textContent = worth ? text : "";
}

/** Ways into the shop: one for each type of product. */
export function typeTiles(types) {
  return h("ul", { class: "types" }, types.map(({ value, count: products }) =>
    h("li", {}, h("a", { href: address({ q: "", filters: [{ field: "product_type", value }], sort: "" }) },
      art({ id: value, type: value }), naming(value.replaceAll("-", " ")).name, h("small", {}, count(products, "product"))))));
}

/** Asks once for the stock of all that is shown, and says where little is left. */
export async function tellStock(hits, list, signal) {
  const wanted = [];
  const owner = new Map();
  for (const hit of hits) {
    const skus = hit.fields.sku ?? [];
    if (wanted.length + skus.length > MOST_SKUS) break;
    for (const sku of skus) owner.set(sku, hit.id);
    wanted.push(...skus);
  }
  if (!wanted.length) return;
  const { items } = await ask(`/availability?${query(wanted.map((sku) => ["sku", sku]))}`, { signal });
  const sums = new Map();
  for (const item of items) {
    const sum = sums.get(owner.get(item.sku)) ?? { available: 0, counted: true };
    sum.available += item.available ?? 0;
    sum.counted &&= item.available !== null;
    sums.set(owner.get(item.sku), sum);
  }
  for (const [id, { available, counted }] of sums) {
    const said = list.querySelector(`[data-id="${CSS.escape(id)}"] .card-stock`);
    if (said && counted) tell(said, { state: available ? "in_stock" : "out_of_stock", available });
  }
}

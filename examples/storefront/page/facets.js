// The filters: which there are depends on what is shown.

import { debounced, h } from "./dom.js";
import { colour, inOrder, minorUnits, naming, reading, symbol } from "./words.js";

const ALWAYS = ["category", "brand"];
const MOST = 7;
const SHOWN = 8;
/** Many numbers are chosen by their ends. */
const isRange = (values) => values.some((value) => value.includes("..")) || (values.length > SHOWN && values.every((value) => !Number.isNaN(Number(value))));
const isChoice = (field) => /^(attributes|options)\./.test(field) && field !== "attributes.brand" && field !== "attributes.model";

/** The fields worth choosing by among these hits: those that many have and that differ. */
export function worthwhile(hits, filters) {
  const fields = new Map();
  for (const hit of hits) {
    for (const [field, values] of Object.entries(hit.fields)) {
      if (!isChoice(field)) continue;
      const seen = fields.get(field) ?? { products: 0, values: new Set() };
      seen.products += 1;
      values.forEach((value) => seen.values.add(value));
      fields.set(field, seen);
    }
  }
  const differs = ({ products, values }) => values.size > 1 && (values.size <= Math.max(12, products * 1.2) || [...values].every(Number.isFinite));
  const found = [...fields].filter(([, seen]) => seen.products >= Math.max(2, hits.length * 0.3) && differs(seen));
  found.sort(([a, x], [b, y]) => y.products - x.products || x.values.size - y.values.size || a.localeCompare(b));
  const chosen = filters.map(({ field }) => field).filter(isChoice);
  return [...new Set([...ALWAYS, ...chosen, ...found.slice(0, MOST).map(([field]) => field)])];
}

/** The form of filters. `changed(filters)` is called with all that hold from then on. */
export function facetForm(changed) {
  let filters = [];
  const form = h("form", { id: "filters", class: "filters", "aria-label": "Filters", submit: (event) => event.preventDefault() });
  const groups = h("div");
  let currency = "EUR";
  const price = range({ id: "price", label: "Price", sign: () => symbol(currency), scale: () => minorUnits(currency) }, (value) => set("price", value ? [value] : []));
  const ranges = new Map();
  const stockBox = h("input", { type: "checkbox", id: "in-stock", change: () => set("in_stock", stockBox.checked ? ["true"] : []) });
  form.append(h("label", { class: "switch", for: "in-stock" }, stockBox, h("span", {}, "In stock only")), h("fieldset", { class: "price-range" }, h("legend", {}, "Price"), price.node), groups);

  function set(field, values) {
    changed([...filters.filter((one) => one.field !== field), ...values.map((value) => ({ field, value }))]);
  }

  function toggle(field, value, on) {
    changed(on ? [...filters, { field, value }] : filters.filter((one) => one.field !== field || one.value !== value));
  }

  /** Shows these facets, with the choices that hold; keeps focus and what was unfolded. */
  function show(facets, now, inCurrency) {
    filters = now;
    currency = inCurrency ?? currency;
    stockBox.checked = filters.some(({ field, value }) => field === "in_stock" && value === "true");
    price.show(filters.find(({ field }) => field === "price")?.value);
    const focused = document.activeElement?.closest?.(".filters") ? document.activeElement.id : null;
    const folded = new Map([...groups.querySelectorAll("details")].map((one) => [one.dataset.field, one.open]));
    const unfolded = new Set([...groups.querySelectorAll("ul.all")].map((one) => one.dataset.field));
    groups.replaceChildren(...facets.map((facet) => group(facet, folded, unfolded)).filter(Boolean));
    if (focused) document.getElementById(focused)?.focus();
  }

  function group({ field, values }, folded, unfolded) {
    const chosen = filters.filter((one) => one.field === field).map(({ value }) => value);
    const counts = new Map(values.map(({ value, count }) => [value, count]));
    chosen.forEach((value) => counts.has(value) || counts.set(value, 0));
    if (counts.size < 2 && !chosen.length) return null;
    const open = folded.get(field) ?? true;
    const summary = h("summary", {}, naming(field).name, chosen.length ? h("span", { class: "badge", "aria-label": `${chosen.length} chosen` }, String(chosen.length)) : null);
    if (isRange([...counts.keys()])) return h("details", { "data-field": field, open }, summary, rangeOf(field, chosen[0]));
    const items = inOrder([...counts.keys()]).map((value) => choice(field, value, counts.get(value), chosen.includes(value)));
    const list = h("ul", { "data-field": field, class: unfolded.has(field) ? "all" : "" }, items);
    const more = items.length > SHOWN && !unfolded.has(field) && h("button", { type: "button", class: "link", click: (event) => { list.classList.add("all"); event.target.remove(); list.children[SHOWN].querySelector("input").focus(); } }, `All ${items.length}`);
    return h("details", { "data-field": field, open }, summary, list, more);
  }

  /** The same fields each time, so that nobody is interrupted in writing. */
  function rangeOf(field, value) {
    const { name, unit } = naming(field);
    if (!ranges.has(field)) ranges.set(field, range({ id: `r-${field}`, label: name, sign: () => unit ?? "" }, (text) => set(field, text ? [text] : [])));
    ranges.get(field).show(value);
    return ranges.get(field).node;
  }

  function choice(field, value, count, on) {
    const id = `f-${field}-${value}`;
    const swatch = /colou?r/.test(field) && colour(value);
    return h("li", {}, h("label", { for: id, class: count ? "" : "nothing" },
      h("input", { type: "checkbox", id, checked: on, change: (event) => toggle(field, value, event.target.checked) }),
      swatch ? h("i", { class: "swatch", vars: { "--swatch": swatch } }) : null,
      h("span", { class: "value" }, reading(field, value)),
      h("span", { class: "count" }, String(count))));
  }

  return { form, show };
}

/** Two ends of a range, as `least..most` in units of which `scale()` are one that is shown. */
function range({ id, label, sign = () => "", scale = () => 1 }, changed) {
  const end = (name) => h("input", { id: `${id}-${name}`, type: "number", min: "0", step: "any", inputmode: "decimal", "aria-label": `${label} ${name}`, placeholder: name, input: () => tell() });
  const [from, to] = [end("from"), end("to")];
  const before = h("span", { "aria-hidden": "true" });
  const tell = debounced(() => {
    const read = (input) => (input.value === "" || !input.validity.valid ? "" : String(Number((Number(input.value) * scale()).toFixed(6))));
    const value = `${read(from)}..${read(to)}`;
    changed(value === ".." ? "" : value);
  }, 350);
  return {
    node: h("div", { class: "range" }, before, from, h("span", { "aria-hidden": "true" }, "–"), to),
    show(value) {
      before.textContent = sign();
      const ends = (value ?? "..").split("..");
      [from, to].forEach((input, at) => {
        if (document.activeElement !== input) input.value = ends[at] ? String(Number(ends[at]) / scale()) : "";
      });
    },
  };
}

// The filters: which there are depends on what is shown.

import { debounced, h } from "./dom.js";
import { colour, inOrder, minorUnits, naming, reading, symbol } from "./words.js";

const ALWAYS = ["category", "brand"];
const MOST = 7;
const SHOWN = 8;
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
  const differs = ({ products, values }) => values.size > 1 && values.size <= Math.max(12, products * 1.5);
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
  const price = priceRange((value) => set("price", value ? [value] : []));
  const stockBox = h("input", { type: "checkbox", id: "in-stock", change: () => set("in_stock", stockBox.checked ? ["true"] : []) });
  form.append(h("label", { class: "switch", for: "in-stock" }, stockBox, h("span", {}, "In stock only")), price.node, groups);

  function set(field, values) {
    changed([...filters.filter((one) => one.field !== field), ...values.map((value) => ({ field, value }))]);
  }

  function toggle(field, value, on) {
    changed(on ? [...filters, { field, value }] : filters.filter((one) => one.field !== field || one.value !== value));
  }

  /** Shows these facets, with the choices that hold; keeps focus and what was unfolded. */
  function show(facets, now, currency) {
    filters = now;
    stockBox.checked = filters.some(({ field, value }) => field === "in_stock" && value === "true");
    price.show(filters.find(({ field }) => field === "price")?.value, currency);
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
    const items = inOrder([...counts.keys()]).map((value) => choice(field, value, counts.get(value), chosen.includes(value)));
    const list = h("ul", { "data-field": field, class: unfolded.has(field) ? "all" : "" }, items);
    const more = items.length > SHOWN && !unfolded.has(field) && h("button", { type: "button", class: "link", click: (event) => { list.classList.add("all"); event.target.remove(); list.children[SHOWN].querySelector("input").focus(); } }, `All ${items.length}`);
    const open = folded.get(field) ?? true;
    return h("details", { "data-field": field, open },
      h("summary", {}, naming(field).name, chosen.length ? h("span", { class: "badge", "aria-label": `${chosen.length} chosen` }, String(chosen.length)) : null),
      list, more);
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

function priceRange(changed) {
  let currency = "EUR";
  const end = (id, label) => h("input", { id, type: "number", min: "0", step: "any", inputmode: "decimal", "aria-label": label, input: () => tell(), placeholder: label.split(" ").at(-1) });
  const from = end("price-from", "Price from");
  const to = end("price-to", "Price to");
  const sign = h("span", { "aria-hidden": "true" });
  const tell = debounced(() => {
    const minor = (input) => (input.value === "" || !input.validity.valid ? "" : String(Math.round(Number(input.value) * minorUnits(currency))));
    const value = `${minor(from)}..${minor(to)}`;
    changed(value === ".." ? "" : value);
  }, 350);
  const node = h("fieldset", { class: "price-range" }, h("legend", {}, "Price"), h("div", {}, sign, from, h("span", { "aria-hidden": "true" }, "–"), to));
  return {
    node,
    show(range, inCurrency) {
      currency = inCurrency ?? currency;
      sign.textContent = symbol(currency);
      const [least, most] = (range ?? "..").split("..");
      for (const [input, minor] of [[from, least], [to, most]]) {
        if (document.activeElement !== input) input.value = minor ? String(Number(minor) / minorUnits(currency)) : "";
      }
    },
  };
}

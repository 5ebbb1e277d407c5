// Choosing a variant: a matrix where two options set them apart, else a table.

import { h } from "./dom.js";
import { colour, inOrder, money, naming, reading, stock } from "./words.js";

/** `chosen(variant)` is called with each choice. */
export function picker(variants, chosen) {
  const cells = new Map();
  const axes = [...new Set(variants.flatMap(({ options }) => Object.keys(options)))];
  const valuesOf = (axis) => inOrder([...new Set(variants.map(({ options }) => options[axis]))]);

  function radio(variant, name) {
    const said = h("span", { class: "stock" });
    const input = h("input", { type: "radio", name: "variant", id: `v-${variant.sku}`, value: variant.sku, "aria-label": name, change: () => chosen(variant) });
    cells.set(variant.sku, { input, said, name });
    return { input, said };
  }

  const isMatrix = axes.length === 2 && axes.every((axis) => valuesOf(axis).length > 1 && variants.every(({ options }) => options[axis] !== undefined));
  const node = variants.length === 1 ? single() : isMatrix ? matrix() : table();

  function single() {
    const { input, said } = radio(variants[0], variants[0].name ?? "The product");
    return h("p", { class: "single" }, h("span", { hidden: true }, input), said);
  }

  function matrix() {
    // Colours downwards, or else the option with more values across.
    const [down, across] = /colou?r/.test(axes[1]) || valuesOf(axes[0]).length > valuesOf(axes[1]).length ? [axes[1], axes[0]] : axes;
    const columns = valuesOf(across);
    const head = h("tr", {}, h("td"), columns.map((value) => h("th", { scope: "col" }, reading(`options.${across}`, value))));
    const row = (value) => h("tr", {},
      h("th", { scope: "row" }, colour(value) ? h("i", { class: "swatch", vars: { "--swatch": colour(value) } }) : null, reading(`options.${down}`, value)),
      columns.map((column) => cell(variants.find(({ options }) => options[down] === value && options[across] === column), `${value}, ${column}`)));
    return h("div", { class: "scroll" }, h("table", { class: "matrix" },
      h("caption", {}, `${naming(down).name} and ${naming(across).name.toLowerCase()}`),
      h("thead", {}, head), h("tbody", {}, valuesOf(down).map(row))));
  }

  function cell(variant, name) {
    if (!variant) return h("td", { class: "missing" }, h("span", { class: "unseen" }, "Not made"));
    const { input, said } = radio(variant, name);
    return h("td", {}, h("label", { for: input.id }, input, said));
  }

  function table() {
    const priced = new Set(variants.map(({ price }) => price?.minor)).size > 1;
    const row = (variant) => {
      const name = variant.name ?? (Object.values(variant.options).join(", ") || variant.sku);
      const { input, said } = radio(variant, name);
      return h("tr", {}, h("td", {}, h("label", { for: input.id }, input, h("span", { class: "name" }, name), h("span", { class: "sku" }, variant.sku))),
        priced ? h("td", { class: "number" }, variant.price ? money(variant.price.minor, variant.price.currency) : "On request") : null,
        h("td", { class: "number" }, said));
    };
    return h("table", { class: "variants" }, h("caption", {}, "Choose one"), h("tbody", {}, variants.map(row)));
  }

  return {
    node,
    choose(sku) {
      const cell = cells.get(sku);
      if (cell) cell.input.checked = true;
    },
    /** Shows the stock of a SKU, and that it has just changed. */
    update(item, changed) {
      const cell = cells.get(item.sku);
      if (!cell) return;
      const { text, look } = stock(item);
      const brief = isMatrix ? (look === "none" ? "–" : String(item.available ?? "?")) : text;
      cell.said.textContent = brief;
      cell.said.className = `stock ${look}`;
      cell.input.setAttribute("aria-label", `${cell.name}: ${text}`);
      cell.input.closest("td")?.classList.toggle("gone", look === "none");
      if (!changed) return;
      cell.said.classList.remove("changed");
      void cell.said.offsetWidth;
      cell.said.classList.add("changed");
    },
  };
}

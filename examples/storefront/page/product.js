// A product: pictures, variants with live stock, and reserving.

import { ask, mayPass } from "./api.js";
import { art } from "./art.js";
import { h, say } from "./dom.js";
import { address, go } from "./location.js";
import { follow } from "./live.js";
import { picker } from "./picker.js";
import { reservationCard } from "./reservation.js";
import { all, onChange } from "./reservations.js";
import { reserveForm } from "./reserve.js";
import { money, naming, readingOfAny, stock } from "./words.js";

const VIEWS = [["whole", "Whole"], ["detail", "Detail"], ["drawing", "Drawing"]];

export function productView() {
  const node = h("div", { class: "product" });
  const view = { node, heading: null, skus: () => [], show, leave };
  let ends = [];
  let showReservations = () => {};
  onChange(() => showReservations());

  function leave() {
    ends.forEach((end) => end());
    ends = [];
    showReservations = () => {};
    view.skus = () => [];
  }

  async function show({ product: name }) {
    leave();
    const asking = new AbortController();
    ends.push(() => asking.abort());
    node.setAttribute("aria-busy", "true");
    try {
      const product = await ask(`/products/${encodeURIComponent(name)}`, { signal: asking.signal });
      if (product.slug !== name) history.replaceState(history.state, "", address({ product: product.slug }));
      document.title = `${product.title} · Stockade General Store`;
      build(product);
    } catch (error) {
      if (!asking.signal.aborted) failed(error, name);
    } finally {
      node.removeAttribute("aria-busy");
    }
  }

  function build(product) {
    const { variants } = product;
    const heading = h("h1", { tabindex: "-1" }, product.title);
    const price = h("p", { class: "price" });
    const said = h("p", { class: "availability" });
    const live = h("p", { class: "live quiet" });
    const mine = h("div", { class: "mine", role: "region", "aria-label": "Your reservations of this product" });
    const gallery = pictures(product);
    const reserve = reserveForm({ slug: product.slug, title: product.title });
    const stocks = new Map(variants.map(({ sku, availability }) => [sku, { sku, ...availability }]));
    let chosen = null;

    const choice = picker(variants, choose);
    function choose(variant) {
      chosen = variant;
      reserve.choose(variant);
      gallery.colour(variant.options.color);
      price.replaceChildren(variant.price ? money(variant.price.minor, variant.price.currency) : "Price on request");
      showStock();
    }
    function showStock() {
      const item = stocks.get(chosen?.sku);
      if (!item) return;
      const { text, look } = stock(item);
      said.className = `availability ${look}`;
      said.replaceChildren(h("span", { class: "dot" }), text, variants.length > 1 && chosen.name ? h("span", { class: "quiet" }, ` · ${chosen.name}`) : "");
      reserve.stock(item);
    }
    function heard(item) {
      const before = stocks.get(item.sku);
      const changed = before && before.available !== item.available;
      stocks.set(item.sku, item);
      choice.update(item, changed);
      if (item.sku === chosen?.sku) {
        showStock();
        if (changed) say(`${product.title}: ${stock(item).text}`);
      }
    }

    node.replaceChildren(crumbs(product),
      h("div", { class: "product-main" }, gallery.node,
        h("div", { class: "buy" },
          h("p", { class: "card-brand" }, product.brand ?? product.attributes.author ?? ""), heading, price,
          h("p", { class: "lead" }, product.description),
          h("div", { class: "stock-line" }, said, live), choice.node, reserve.form, mine)),
      attributes(product));
    stocks.forEach((item) => choice.update(item, false));
    const first = variants.find(({ sku }) => stocks.get(sku).available > 0) ?? variants[0];
    if (first) {
      choice.choose(first.sku);
      choose(first);
    }
    ends.push(follow(variants.map(({ sku }) => sku), heard, (connected) => {
      live.classList.toggle("on", connected);
      live.textContent = connected ? "Stock is live" : "Reconnecting…";
    }));

    let cards = [];
    showReservations = () => {
      cards.forEach(({ end }) => end());
      cards = all().filter(({ slug }) => slug === product.slug).map((one) => reservationCard(one, { compact: true }));
      mine.replaceChildren(...cards.map(({ card }) => card));
      reserve.refresh();
      showStock();
    };
    ends.push(() => cards.forEach(({ end }) => end()));
    showReservations();
    view.heading = heading;
    view.skus = () => variants.map(({ sku }) => sku);
    say(product.title);
    node.dispatchEvent(new Event("built"));
  }

  function failed(error, name) {
    const missing = error.status === 404;
    const heading = h("h1", { tabindex: "-1" }, missing ? "There is no such product" : "The shop does not answer");
    view.heading = heading;
    document.title = `${heading.textContent} · Stockade General Store`;
    node.replaceChildren(h("div", { class: "state" }, heading,
      h("p", {}, missing ? "It may have been taken out of the shop, or the address has a typing error." : "Your reservations are safe. It may help to try again in a moment."),
      h("div", { class: "row" },
        missing ? h("button", { type: "button", class: "primary", click: () => go({ q: name.replaceAll("-", " "), filters: [], sort: "" }) }, `Search “${name.replaceAll("-", " ")}”`)
          : h("button", { type: "button", class: "primary", click: () => show({ product: name }) }, "Try again"),
        h("a", { class: "button", href: "/" }, "See everything"))));
    if (mayPass(error)) say(heading.textContent);
  }

  return view;
}

function crumbs({ category, title }) {
  const step = (name) => h("li", {}, h("a", { href: address({ q: "", filters: [{ field: "category", value: name }], sort: "" }) }, name));
  return h("nav", { class: "crumbs", "aria-label": "Where this is" }, h("ol", {}, h("li", {}, h("a", { href: "/" }, "All")), category.map(step), h("li", { "aria-current": "page" }, title)));
}

function pictures({ id, product_type: type, category, variants, attributes, title }) {
  const kind = category.at(-1);
  const plain = attributes.wood_type ?? attributes.material;
  let colour = variants[0]?.options.color ?? plain;
  let now = "whole";
  const main = h("div", { class: "picture", role: "img", "aria-label": `Drawing of ${title}` });
  const thumbs = VIEWS.map(([view, name]) => h("button", { type: "button", "aria-pressed": String(view === now), "aria-label": `${name} view`, click: () => turn(view) }));
  function turn(view) {
    now = view;
    main.replaceChildren(art({ id, type, kind, colour }, now));
    thumbs.forEach((thumb, at) => {
      thumb.setAttribute("aria-pressed", String(VIEWS[at][0] === now));
      thumb.replaceChildren(art({ id, type, kind, colour }, VIEWS[at][0]));
    });
  }
  turn(now);
  return {
    node: h("div", { class: "gallery" }, main, h("div", { class: "thumbs", role: "group", "aria-label": "Views" }, thumbs)),
    colour(next) {
      colour = next ?? plain;
      turn(now);
    },
  };
}

function attributes({ attributes, product_type: type }) {
  const rows = Object.entries(attributes).map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, naming(name).name), h("td", {}, readingOfAny(name, value))));
  rows.unshift(h("tr", {}, h("th", { scope: "row" }, "Type"), h("td", {}, naming(type.replaceAll("-", " ")).name)));
  return h("section", { class: "facts" }, h("h2", { id: "facts" }, "Details"), h("table", { "aria-labelledby": "facts" }, h("tbody", {}, rows)));
}

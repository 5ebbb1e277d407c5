// Searching and browsing: results as one types, with filters that follow what is shown.

import { ask, mayPass, query, Refused } from "./api.js";
import { card, tellStock, typeTiles } from "./cards.js";
import { debounced, h, say, sheet } from "./dom.js";
import { facetForm, worthwhile } from "./facets.js";
import { understood } from "./highlight.js";
import { go, params } from "./location.js";
import { count, money, naming, reading } from "./words.js";

const PAGE = 24;
const SORTS = [["", "Best match"], ["price", "Price, low to high"], ["-price", "Price, high to low"], ["title", "Name"]];
const NARROW = matchMedia("(max-width: 860px)");

export function listing() {
  let asked = { q: "", filters: [], sort: "" };
  let asking = null;
  let next = null;
  let fields = ["category", "brand"];
  let hits = [];
  let currency = "EUR";

  const heading = h("h1", { tabindex: "-1" });
  const told = h("p", { class: "told" });
  const grid = h("ul", { class: "grid", "aria-label": "Products" });
  const more = h("button", { type: "button", class: "more", hidden: true, click: () => load(true) }, "Show more");
  const ways = h("nav", { "aria-label": "Kinds of products" });
  const chips = h("ul", { class: "chips", "aria-label": "Filters that hold" });
  const sort = h("select", { id: "sort", change: () => go({ ...asked, sort: sort.value }) }, SORTS.map(([value, name]) => h("option", { value }, name)));
  const facets = facetForm((filters) => go({ ...asked, filters }));
  const aside = h("aside", { class: "side", "aria-label": "Filters" });
  const filterCount = h("span", { class: "badge", hidden: true });
  const shown = h("button", { type: "button", class: "primary", click: () => filterSheet.close() }, "Show products");
  const filterSheet = sheet("filter-sheet", "Filters");
  const opener = h("button", { type: "button", class: "filter-opener", "aria-haspopup": "dialog", click: () => filterSheet.showModal() }, "Filters", filterCount);
  const node = h("div", { class: "listing" }, aside,
    h("section", { class: "results", "aria-label": "Results" },
      h("div", { class: "results-head" }, h("div", {}, heading, told),
        h("div", { class: "tools" }, opener, h("label", { for: "sort" }, h("span", {}, "Sort"), sort))),
      ways, chips, grid, more));

  const place = () => {
    if (NARROW.matches) filterSheet.querySelector(".sheet-body").replaceChildren(facets.form, shown);
    else {
      filterSheet.open && filterSheet.close();
      aside.replaceChildren(facets.form);
    }
  };
  NARROW.addEventListener("change", place);
  place();

  /** Loads the first page, or goes on after the last. */
  async function load(goOn) {
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    grid.setAttribute("aria-busy", "true");
    const size = goOn ? PAGE : Math.min(100, history.state?.shown ?? PAGE);
    const search = (facets, size, cursor) => ask(`/search?${query([...params(asked), ...facets.map((field) => ["facet", field]), ["size", size], ["cursor", cursor]])}`, { signal });
    try {
      const home = !asked.q.trim() && !asked.filters.length;
      const page = await patiently(() => search(goOn ? [] : [...fields, ...(home ? ["product_type"] : [])], size, goOn ? next : null), signal);
      next = page.next;
      if (goOn) return append(page, signal);
      replace(page, signal);
      ways.replaceChildren(...(home ? [typeTiles(page.facets.at(-1).values)] : []));
      const wanted = worthwhile(page.hits, asked.filters);
      let counted = page.facets;
      if (wanted.some((field) => !fields.includes(field))) counted = (await search(wanted, 1)).facets;
      fields = wanted;
      facets.show(wanted.map((field) => counted.find((facet) => facet.field === field)).filter(Boolean), asked.filters, currency);
    } catch (error) {
      if (!signal.aborted) failed(error);
    } finally {
      if (!signal.aborted) grid.removeAttribute("aria-busy");
    }
  }

  /** Tries again for a while what may pass. */
  async function patiently(act, signal) {
    for (let wait = 400; ; wait *= 2) {
      try {
        return await act();
      } catch (error) {
        if (signal.aborted || !mayPass(error) || wait > 1600) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  function replace(page, signal) {
    hits = page.hits;
    currency = hits.find((hit) => hit.fields.currency)?.fields.currency[0] ?? currency;
    grid.replaceChildren(...hits.map(card));
    more.hidden = !next;
    const total = `${page.total_relation === "at_least" ? "more than " : ""}${count(page.total, "product")}`;
    shown.textContent = `Show ${total}`;
    const q = asked.q.trim();
    const other = q && understood(q, hits);
    heading.replaceChildren(...(q ? ["Results for ", h("em", {}, q)] : [where()]));
    told.replaceChildren(total, ...(other ? [" · showing matches for ", h("strong", {}, other)] : []));
    showChips();
    if (!hits.length) grid.replaceChildren(nothing(q));
    announce(`${total}${q ? ` for ${q}` : ""}${other ? `, showing matches for ${other}` : ""}`);
    tellStock(hits, grid, signal).catch(() => {});
  }

  function append(page, signal) {
    const firstNew = grid.children.length;
    grid.append(...page.hits.map(card));
    hits = hits.concat(page.hits);
    more.hidden = !next;
    history.replaceState({ ...history.state, shown: hits.length }, "");
    grid.children[firstNew]?.querySelector("a").focus({ preventScroll: true });
    say(`${hits.length} products shown`);
    tellStock(page.hits, grid, signal).catch(() => {});
  }

  /** What a listing without a query is of. */
  function where() {
    const field = ["category", "product_type", "brand"].find((one) => chosen(one).length === 1);
    return field ? reading(field, chosen(field)[0]) : asked.filters.length ? "A choice of the shop" : "Everything in the shop";
  }

  const announce = debounced(say, 700);
  const chosen = (field) => asked.filters.filter((one) => one.field === field).map(({ value }) => value);

  function wording({ field, value }) {
    if (field === "in_stock") return "In stock";
    const { name } = naming(field);
    if (!value.includes("..")) return `${name}: ${reading(field, value)}`;
    const isPrice = field === "price";
    const [from, to] = value.split("..").map((end) => end && (isPrice ? money(Number(end), currency) : reading(field, end)));
    const range = from && to ? `${from} to ${to}` : from ? `from ${from}` : `up to ${to}`;
    return `${name} ${range}`;
  }

  function showChips() {
    const { filters } = asked;
    filterCount.hidden = !filters.length;
    filterCount.textContent = String(filters.length);
    const without = (gone) => go({ ...asked, filters: filters.filter((one) => one !== gone) });
    const chip = (filter) => h("li", {}, h("button", { type: "button", "aria-label": `Without ${wording(filter)}`, click: () => without(filter) }, wording(filter), h("span", { "aria-hidden": "true" }, "×")));
    chips.replaceChildren(...filters.map(chip), ...(filters.length > 1 ? [h("li", {}, h("button", { type: "button", class: "link", click: () => go({ ...asked, filters: [] }) }, "Clear all"))] : []));
  }

  function nothing(q) {
    const { filters } = asked;
    const hints = [
      filters.length && h("button", { type: "button", class: "primary", click: () => go({ ...asked, filters: [] }) }, q ? `Search “${q}” in the whole shop` : "Clear all filters"),
      ...filters.map((filter) => h("button", { type: "button", click: () => go({ ...asked, filters: filters.filter((one) => one !== filter) }) }, `Without ${wording(filter)}`)),
      q && h("button", { type: "button", click: () => go({ ...asked, q: q.split(/\s+/).slice(0, -1).join(" "), filters: [] }) }, q.includes(" ") ? `Search “${q.split(/\s+/).slice(0, -1).join(" ")}”` : "See everything"),
    ];
    return h("li", { class: "state" }, h("h2", {}, "Nothing matches"),
      h("p", {}, filters.length ? "All of the filters together leave nothing. One less may help:" : "We looked for close spellings too. A more general word may help, or a brand, a material, a SKU."),
      h("div", { class: "row" }, hints));
  }

  function failed(error) {
    const ours = !(error instanceof Refused) || mayPass(error);
    more.hidden = true;
    ways.replaceChildren();
    heading.textContent = ours ? "Search does not answer" : "That can’t be searched for";
    told.textContent = "";
    grid.replaceChildren(h("li", { class: "state" },
      h("p", {}, ours ? "We have tried a few times. What you wrote is kept." : error.message),
      h("div", { class: "row" }, h("button", { type: "button", class: "primary", click: () => load(false) }, "Try again"), h("button", { type: "button", click: () => go("/") }, "See everything"))));
    say(heading.textContent);
  }

  return {
    node,
    heading,
    /** The SKUs of what is shown, for who wants to know where their stock is from. */
    skus: () => hits.flatMap((hit) => hit.fields.sku ?? []).slice(0, 100),
    show(now) {
      const same = JSON.stringify(now) === JSON.stringify(asked);
      asked = now;
      sort.value = now.sort;
      document.title = `${now.q.trim() ? `${now.q.trim()} · ` : ""}Stockade General Store`;
      if (!same || !hits.length) return load(false);
      // Back from a product: what is shown stays, and its stock is asked for anew.
      tellStock(hits, grid, AbortSignal.timeout(10_000)).catch(() => {});
    },
  };
}

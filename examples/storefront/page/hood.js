// Under the hood, for who wants to look: the circuit, where stock came from, and how old it is.

import { ask, query } from "./api.js";
import { h, notice, sheet } from "./dom.js";
import { hold } from "./reservations.js";

const EVERY = 1500;
const CIRCUIT = {
  closed: ["Closed", "Pages read stock from the cache, which is fresh.", "good"],
  half_open: ["Half open", "The cache is fresh again; one more look, and pages trust it.", "low"],
  open: ["Open", "The cache is too old to trust. Pages ask inventory, and show the last known where it has no answer.", "none"],
};
const SOURCES = { cache: "Cache", inventory: "Inventory, asked directly", last_known: "Last known", nowhere: "Nobody knows" };
const HOLDS = [[900, "15 minutes"], [60, "1 minute"], [10, "10 seconds"], [3, "3 seconds"]];

const age = (seconds) => (seconds === null || seconds === undefined ? "of unknown age" : seconds < 0.05 ? "just now" : `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s old`);

/** `skus()` are those whose stock the page shows. */
export function hood(place, skus) {
  const circuit = h("p", { class: "circuit", id: "circuit" });
  const circuitWhy = h("p", { class: "quiet" });
  const origin = h("ul", { class: "origin", id: "origin" });
  const lag = h("tbody");
  const cut = h("input", { type: "checkbox", id: "cut", role: "switch", change: () => make(cut.checked) });
  const holds = h("select", { id: "hold", change: () => { hold.set(Number(holds.value)); notice(`The next reservation holds ${holds.selectedOptions[0].text}.`); } }, HOLDS.map(([seconds, name]) => h("option", { value: seconds, selected: seconds === hold.get() }, name)));
  const { faults: kind } = document.documentElement.dataset;
  const faults = kind === "allowed";

  const dialog = h("section", { class: "hood", id: "hood", hidden: true, "aria-labelledby": "hood-title" },
    h("div", { class: "sheet-head" }, h("h2", { id: "hood-title", tabindex: "-1" }, "Under the hood"), h("button", { type: "button", class: "icon", "aria-label": "Close", click: () => close() }, "×")),
    h("div", { class: "hood-body" },
      h("section", { "aria-label": "Circuit breaker" }, h("h3", {}, "Circuit breaker"), circuit, circuitWhy),
      h("section", { "aria-label": "Where stock came from" }, h("h3", {}, "This page’s stock"), origin),
      h("section", { "aria-label": "Readers" }, h("h3", {}, "Readers of the change feed"), h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Group"), h("th", { scope: "col", class: "number" }, "Unread"))), lag)),
      h("section", { "aria-label": "Experiments" }, h("h3", {}, "Try it"),
        kind === "none" ? null : faults ? h("label", { class: "switch", for: "cut" }, cut, h("span", {}, "Cut the way to inventory")) : h("p", { class: "quiet" }, "Start the shop with ", h("code", {}, "--allow-faults"), " to cut inventory off and watch the circuit open."),
        h("label", { class: "holds", for: "hold" }, h("span", {}, "Reservations hold"), holds)),
      h("p", { class: "links" }, h("a", { href: "/docs/" }, "API"), h("a", { href: "/metrics" }, "Metrics"), h("a", { href: "/healthz" }, "Health"))));
  document.body.append(dialog);
  const opener = h("button", { type: "button", class: "link", "aria-expanded": "false", "aria-controls": "hood", click: () => (dialog.hidden ? open() : close()) }, "Under the hood");
  place.replaceWith(opener);
  dialog.addEventListener("keydown", (event) => event.key === "Escape" && close());

  let timer = null;

  function open() {
    dialog.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    dialog.querySelector("h2").focus({ preventScroll: true });
    if (faults) ask("/faults").then(({ inventory }) => (cut.checked = inventory === "unreachable")).catch(() => {});
    look();
  }

  function close() {
    dialog.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    clearTimeout(timer);
    opener.focus();
  }

  async function make(unreachable) {
    try {
      await ask("/faults", { method: "PUT", body: { inventory: unreachable ? "unreachable" : "reachable" } });
      if (unreachable) notice("Inventory is cut off. The circuit opens once the cache is too old, 30 s by default.");
    } catch {
      cut.checked = !unreachable;
    }
  }

  async function look() {
    clearTimeout(timer);
    try {
      const shown = skus();
      // The circuit is judged whenever a page asks for stock, so this comes first.
      const stock = shown.length ? await ask(`/availability?${query(shown.map((sku) => ["sku", sku]))}`) : null;
      show(await ask("/healthz"), stock);
    } catch {
      circuitWhy.textContent = "The shop does not answer.";
    }
    if (!dialog.hidden) timer = setTimeout(look, EVERY);
  }

  function show(health, stock) {
    const [name, why, look] = CIRCUIT[stock?.circuit ?? health.circuit] ?? ["Not known", "This page shows no stock.", "unknown"];
    circuit.className = `circuit ${look}`;
    circuit.replaceChildren(h("span", { class: "dot" }), name);
    circuitWhy.textContent = health.failed_worker ? `A worker has ended: ${health.failed_worker}` : why;
    const groups = Map.groupBy(stock?.items ?? [], ({ source }) => source);
    origin.replaceChildren(...[...groups].map(([source, items]) => {
      const oldest = items.map(({ age_seconds }) => age_seconds).reduce((a, b) => (a === null || b === null ? null : Math.max(a, b)));
      return h("li", { "data-source": source }, h("strong", {}, SOURCES[source] ?? source), h("span", {}, `${items.length} ${items.length === 1 ? "SKU" : "SKUs"}, ${age(oldest)}`));
    }));
    if (!groups.size) origin.replaceChildren(h("li", {}, "This page shows no stock."));
    lag.replaceChildren(...health.consumer_lag.map(({ group, records }) => h("tr", {}, h("td", {}, group), h("td", { class: "number" }, String(records ?? "?")))));
  }

  return { refresh: () => dialog.hidden || look() };
}

// The page: which view the address asks for, and what is on every page.

import { byId, debounced } from "./dom.js";
import { hood } from "./hood.js";
import { listing } from "./listing.js";
import { go, here } from "./location.js";
import { productView } from "./product.js";
import { resume } from "./reservations.js";
import { suggest } from "./suggest.js";
import { tray } from "./tray.js";

const main = byId("main");
const input = byId("q");
const list = listing();
const product = productView();
let view = null;
/** Where focus goes back to when a product is left. */
let opened = null;

function show({ first = false } = {}) {
  const asked = here();
  const before = view;
  view = asked.product ? product : list;
  if (view !== before) {
    before?.leave?.();
    main.replaceChildren(view.node);
  }
  if (document.activeElement !== input) input.value = asked.product ? "" : asked.q;
  const shown = view.show(asked);
  if (view !== before) settleDown(shown, first);
  panel.refresh();
}

/** Scrolls and focuses as a browser does between pages. */
async function settleDown(shown, first) {
  if (view === product) {
    window.scrollTo(0, 0);
    await shown;
    if (!first) product.heading?.focus({ preventScroll: true });
  } else {
    await shown;
    window.scrollTo(0, history.state?.top ?? 0);
    if (!first && document.activeElement !== input) (list.node.querySelector(`[data-id="${CSS.escape(opened ?? "")}"] a`) ?? list.heading).focus({ preventScroll: true });
  }
}

// Its keys come first while the list is open.
const suggestions = suggest(input);

// Typing goes to the listing; one word after another is one step of the history.
let typing = false;
const search = debounced(() => {
  const asked = here();
  const now = asked.product ? { q: "", filters: [], sort: "" } : asked;
  if (!asked.product && now.q === input.value) return;
  go({ ...now, q: input.value }, { replace: typing && !asked.product });
  typing = true;
}, 140);
input.addEventListener("input", search);
input.addEventListener("blur", () => (typing = false));
input.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !input.value) return;
  input.value = "";
  input.dispatchEvent(new Event("input"));
});
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  suggestions.close();
  search();
});

document.addEventListener("keydown", (event) => {
  const writing = event.target.closest("input, select, textarea, dialog[open]");
  if (event.key !== "/" || writing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  input.focus();
  input.select();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const { origin, pathname, search, hash } = new URL(link.href);
  if (origin !== location.origin || hash || !(pathname === "/" || pathname.startsWith("/p/"))) return;
  event.preventDefault();
  opened = link.closest("[data-id]")?.dataset.id ?? null;
  link.closest("dialog")?.close();
  go(pathname + search);
});

const panel = hood(byId("hood-opener"), () => view?.skus() ?? []);
tray(byId("tray-opener"));
window.addEventListener("moved", () => show());
window.addEventListener("popstate", () => {
  input.blur();
  show();
});
history.scrollRestoration = "manual";
product.node.addEventListener("built", () => panel.refresh());
show({ first: true });
resume();

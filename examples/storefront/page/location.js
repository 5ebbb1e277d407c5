// What the address says: the query string of a listing is that of `/search`, without its facets.

import { query } from "./api.js";

/** What is asked for: a product by slug, or a listing. */
export function here() {
  const { pathname, search } = window.location;
  const product = pathname.match(/^\/p\/([^/]+)$/);
  if (product) return { product: decodeURIComponent(product[1]) };
  const params = new URLSearchParams(search);
  return {
    q: params.get("q") ?? "",
    filters: params.getAll("filter").map(split).filter(Boolean),
    sort: params.get("sort") ?? "",
  };
}

function split(filter) {
  const at = filter.indexOf(":");
  return at > 0 ? { field: filter.slice(0, at), value: filter.slice(at + 1) } : null;
}

export const params = ({ q, filters, sort }) => [
  ["q", q.trim()],
  ...filters.map(({ field, value }) => ["filter", `${field}:${value}`]),
  ["sort", sort],
];

export function address(asked) {
  if (asked.product) return `/p/${encodeURIComponent(asked.product)}`;
  const search = query(params(asked));
  return search ? `/?${search}` : "/";
}

/** Goes there. Each step of typing replaces the one before, so that "back" leaves the word. */
export function go(to, { replace = false } = {}) {
  const url = typeof to === "string" ? to : address(to);
  if (replace) history.replaceState(history.state, "", url);
  else {
    history.replaceState({ ...history.state, top: window.scrollY }, "");
    history.pushState({}, "", url);
  }
  window.dispatchEvent(new CustomEvent("moved", { detail: { replace } }));
}

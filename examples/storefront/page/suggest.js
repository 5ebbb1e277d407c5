// Titles that go on from what is typed: a combobox, as the ARIA practices have it.

import { ask, query } from "./api.js";
import { debounced, h } from "./dom.js";
import { go } from "./location.js";

export function suggest(input) {
  const list = h("ul", { id: "suggestions", role: "listbox", "aria-label": "Products", hidden: true });
  input.after(list);
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", "suggestions"], ["aria-expanded", "false"]]) input.setAttribute(name, value);

  let active = -1;
  let asking = null;

  const open = () => !list.hidden;
  const close = () => {
    asking?.abort();
    look.cancel();
    list.hidden = true;
    list.replaceChildren();
    activate(-1);
    input.setAttribute("aria-expanded", "false");
  };

  function activate(index) {
    active = index;
    [...list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    const option = list.children[index];
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  const choose = (id) => {
    close();
    go({ product: id });
  };

  function show(suggestions, typed) {
    // An answer that is late does not take the choice away.
    const chosen = list.children[active]?.dataset.id;
    list.replaceChildren(...suggestions.map(({ id, text }, at) => {
      const same = text.toLowerCase().startsWith(typed.toLowerCase()) ? typed.length : 0;
      return h("li", { id: `suggestion-${at}`, role: "option", "aria-selected": "false", pointerdown: (event) => event.preventDefault(), click: () => choose(id), "data-id": id },
        h("span", { class: "typed" }, text.slice(0, same)), text.slice(same));
    }));
    activate(suggestions.findIndex(({ id }) => id === chosen));
    list.hidden = suggestions.length === 0;
    input.setAttribute("aria-expanded", String(open()));
  }

  const look = debounced(async () => {
    const typed = input.value.trim();
    asking?.abort();
    if (!typed) return close();
    asking = new AbortController();
    const { signal } = asking;
    try {
      const { suggestions } = await ask(`/suggest?${query([["q", typed], ["size", 6]])}`, { signal });
      if (!signal.aborted && document.activeElement === input) show(suggestions, typed);
    } catch {
      // Suggestions are a help; without them one still searches.
      if (!signal.aborted) close();
    }
  }, 120);

  input.addEventListener("input", look);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const last = list.children.length - 1;
    if (event.key === "ArrowDown" && open()) activate(active >= last ? -1 : active + 1);
    else if (event.key === "ArrowUp" && open()) activate(active < 0 ? last : active - 1);
    else if (event.key === "Enter" && open() && active >= 0) choose(list.children[active].dataset.id);
    else if (event.key === "Escape" && open()) close();
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  });
  return { close };
}

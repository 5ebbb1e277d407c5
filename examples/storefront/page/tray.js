// All reservations of this browser, in a sheet that opens from the top of each page.

import { h, say, sheet } from "./dom.js";
import { reservationCard } from "./reservation.js";
import { all, onChange, refreshAll } from "./reservations.js";

export function tray(place) {
  const badge = h("span", { class: "badge", hidden: true });
  const opener = h("button", { type: "button", class: "tray-opener", "aria-haspopup": "dialog", click: () => open() }, "Reserved", badge);
  place.replaceWith(opener);
  const list = h("div", { class: "tray-list" });
  const dialog = sheet("tray", "Reserved for you", list);
  dialog.addEventListener("close", show);
  let ends = [];
  const states = new Map();

  function open() {
    dialog.showModal();
    show();
    refreshAll();
  }

  function show() {
    const reservations = all();
    const held = reservations.filter(({ state }) => state === "held").length;
    badge.hidden = !held;
    badge.textContent = String(held);
    opener.setAttribute("aria-label", held ? `Reserved: ${held} held for you` : "Reserved");
    for (const { id, state, title } of reservations) {
      if (states.get(id) === "held" && state === "expired") say(`The reservation of ${title} has expired`);
      states.set(id, state);
    }
    ends.forEach((end) => end());
    ends = [];
    if (!dialog.open) return;
    const cards = reservations.map((one) => reservationCard(one));
    ends = cards.map(({ end }) => end);
    list.replaceChildren(...(cards.length ? cards.map(({ card }) => card) : [
      h("p", { class: "quiet" }, "Nothing yet. Open a product, choose one, and reserve it: nobody else gets it while the clock runs."),
    ]));
  }

  onChange(show);
  show();
}

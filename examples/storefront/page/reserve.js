// Reserving a variant: how many, and what became of it.

import { h, notice, say } from "./dom.js";
import { hold, reserve } from "./reservations.js";
import { spoken } from "./countdown.js";

const MOST = 99;

/** `product` is `{ slug, title }`. What can be reserved is told by `choose` and `stock`. */
export function reserveForm(product) {
  let variant = null;
  let most = MOST;
  let busy = false;

  const number = h("input", { id: "quantity", type: "number", min: "1", max: String(MOST), value: "1", inputmode: "numeric", change: () => set(Number(number.value)) });
  const step = (by, label, sign) => h("button", { type: "button", class: "icon", "aria-label": label, click: () => set(Number(number.value) + by) }, sign);
  const less = step(-1, "One less", "−");
  const more = step(1, "One more", "+");
  const button = h("button", { type: "submit", class: "primary big", id: "reserve" });
  const message = h("p", { class: "reserve-message", role: "status" });
  const form = h("form", { class: "reserve", submit: (event) => { event.preventDefault(); send(); } },
    h("div", { class: "quantity" }, h("label", { class: "unseen", for: "quantity" }, "How many"), less, number, more), button,
    h("p", { class: "quiet hold" }), message);

  function set(quantity) {
    number.value = String(Math.min(Math.max(1, Math.trunc(quantity) || 1), Math.max(1, most)));
    less.disabled = Number(number.value) <= 1;
    more.disabled = Number(number.value) >= most;
  }

  function show() {
    const out = most === 0;
    button.disabled = busy || !variant || out;
    button.textContent = busy ? "Reserving…" : !variant ? "Choose one first" : out ? "Sold out" : "Reserve";
    form.querySelector(".hold").textContent = `Held for ${spoken(hold.get())}. Nothing is paid here.`;
    set(Number(number.value));
  }

  async function send() {
    if (busy || !variant) return;
    busy = true;
    message.textContent = "";
    show();
    const wanted = { sku: variant.sku, quantity: Number(number.value), variant: variant.name ?? "", ...product };
    try {
      await reserve(wanted, () => (message.textContent = "The shop is slow to answer. Still trying; you will not get it twice."));
      message.textContent = "";
      set(1);
      say(`${product.title} is reserved for you for ${spoken(hold.get())}`);
    } catch (error) {
      message.textContent = refusal(error, wanted);
      if (error.status === undefined) notice("The outcome is not known yet. Press Reserve again: you will not get it twice.", "warn");
    } finally {
      busy = false;
      show();
    }
  }

  function refusal({ status, problem }, { quantity }) {
    const short = problem?.shortages?.[0];
    if (short) {
      most = short.open;
      if (short.open === 0) return "Somebody was faster and has the last one. If they let go, it shows up here by itself.";
      return `Only ${short.open} of the ${quantity} are still free: somebody else has just reserved some.`;
    }
    if (status === 422) return "This one can’t be reserved right now.";
    return "The shop does not answer. Press Reserve again: you will not get it twice.";
  }

  show();
  return {
    form,
    choose(next) {
      variant = next;
      message.textContent = "";
      show();
    },
    /** How many can be had of what is chosen; where nobody knows, the shop decides. */
    stock({ state, available }) {
      const before = most;
      most = state === "out_of_stock" ? 0 : state === "not_stocked" ? 0 : (available ?? MOST);
      if (before === 0 && most > 0) message.textContent = "";
      show();
      if (state === "not_stocked") {
        button.textContent = "Not reserved: always available";
      }
    },
    refresh: show,
  };
}

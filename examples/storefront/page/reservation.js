// A reservation as it is shown: how long it holds, and what can be done with it.

import { clockFace, countdown, spoken } from "./countdown.js";
import { h, notice, say } from "./dom.js";
import { address } from "./location.js";
import { dismiss, step } from "./reservations.js";

const SAID = {
  held: ["Reserved for you", "held"],
  confirmed: ["Confirmed. It is yours.", "done"],
  fulfilled: ["On its way to you.", "done"],
  released: ["Released. It is free for others again.", "over"],
  expired: ["Time ran out, so it went back on the shelf.", "over"],
  cancelled: ["Cancelled.", "over"],
};
const WARNINGS = [60, 10];

/** A card that keeps itself up to date; `end()` stops its clock. */
export function reservationCard(of, { compact = false } = {}) {
  const [said, look] = SAID[of.state] ?? [of.state, "over"];
  const what = [of.quantity > 1 && `${of.quantity} ×`, of.variant].filter(Boolean).join(" ");
  const card = h("article", { class: `reservation ${look}`, "aria-label": `${of.title}${of.variant ? `, ${of.variant}` : ""}: ${said}`, "data-id": of.id, "data-state": of.state });
  const title = compact ? null : h("p", { class: "reservation-title" }, h("a", { href: address({ product: of.slug }) }, of.title));
  card.append(h("div", { class: "reservation-text" }, title, h("p", { class: "reservation-what" }, what), h("p", { class: "reservation-state" }, said)));
  let end = () => {};
  if (of.state === "held") {
    const face = h("span", { class: "clock", role: "timer", "aria-label": "Time left" });
    const elapsed = (performance.now() - of.asOf) / 1000;
    let before = of.remaining - elapsed;
    const whole = Math.max(before, of.ttl ?? 900);
    end = countdown(before, (left) => {
      face.textContent = clockFace(left);
      card.style.setProperty("--left", String(left / whole));
      card.classList.toggle("soon", left < 60 && left < whole / 3);
      const due = WARNINGS.find((mark) => before > mark && left <= mark);
      if (due && whole > due) say(`${of.title} is reserved for another ${spoken(left)}`);
      before = left;
    });
    card.append(face, h("div", { class: "reservation-steps" }, button("Confirm", "confirm", "primary"), button("Release", "release")));
  } else if (look === "over") {
    card.append(h("button", { type: "button", class: "link", click: () => dismiss(of.id) }, "Dismiss"));
  }

  function button(text, name, kind = "") {
    return h("button", { type: "button", class: kind, "data-step": name, click: async (event) => {
      const buttons = event.target.parentElement.querySelectorAll("button");
      buttons.forEach((one) => (one.disabled = true));
      try {
        const { state } = await step(of.id, name);
        say(`${of.title}: ${SAID[state]?.[0] ?? state}`);
      } catch (error) {
        const actual = SAID[error.problem?.state]?.[0];
        notice(actual ? `Too late to ${name}: ${actual}` : "The shop does not answer. Please try again.", "warn");
        buttons.forEach((one) => (one.disabled = false));
      }
    } }, text);
  }

  return { card, end };
}

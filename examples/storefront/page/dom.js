// Elements without markup: what comes from the catalogue is only ever text.

/** Makes an element. Functions become listeners, `vars` custom properties, `false` nothing. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same in SVG. */
export function s(tag, props = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else if (name === "vars") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Tells who listens to the page, once and politely. */
export function say(text) {
  const said = byId("said");
  said.textContent = "";
  // A change that comes too soon after another is not read out.
  setTimeout(() => (said.textContent = text), 60);
}

/** Shows a notice for some seconds; screen readers hear it as well. */
export function notice(text, kind = "plain") {
  const note = h("p", { class: `notice ${kind}` }, text);
  byId("notices").append(note);
  setTimeout(() => note.remove(), 7000);
}

/** Calls `act` once nothing more has happened for a while. */
export function debounced(act, wait) {
  let timer;
  const call = (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...args), wait);
  };
  call.cancel = () => clearTimeout(timer);
  return call;
}

/** A dialog that closes by Escape, its button, and a click beside it. */
export function sheet(id, title, ...content) {
  const heading = h("h2", { id: `${id}-title` }, title);
  const close = h("button", { type: "button", class: "icon", "aria-label": "Close", click: () => dialog.close() }, "×");
  const dialog = h("dialog", { id, class: "sheet", "aria-labelledby": `${id}-title` },
    h("div", { class: "sheet-head" }, heading, close),
    h("div", { class: "sheet-body" }, ...content));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  return dialog;
}

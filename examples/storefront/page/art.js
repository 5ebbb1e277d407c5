// Pictures drawn from what a product is: its type, its colour, and its name for the rest.

import { s } from "./dom.js";
import { motif } from "./motifs.js";
import { colour } from "./words.js";

const MAINS = ["#2f6f5e", "#3c6391", "#b0623c", "#8a5a83", "#5f7a3a", "#b58a2c", "#4a7f8c", "#a14d55"];

function hash(text) {
  let value = 2166136261;
  for (const letter of text) value = Math.imul(value ^ letter.codePointAt(0), 16777619);
  return value >>> 0;
}

/**
 * Views of a product: as a `whole`, a `detail` of it, and a `drawing` in lines.
 * `of` is `{ id, type, kind, colour }`; the picture says nothing that the text beside it does not.
 */
export function art(of, view = "whole") {
  const seed = hash(of.id);
  const own = MAINS[seed % MAINS.length];
  const main = colour(of.colour) ?? own;
  // Black and white things stand before a colour.
  const tint = isGrey(main) ? own : main;
  const picture = s("svg", { class: `art ${view}`, viewBox: view === "detail" ? "110 90 180 180" : "0 0 400 400", "aria-hidden": "true", focusable: "false", vars: { "--main": main, "--tint": tint } });
  picture.append(s("rect", { class: "ground", width: 400, height: 400 }), ...backdrop(seed), ...motif(of.type, seed, of.kind));
  if (view === "drawing") picture.append(...measures());
  return picture;
}

function isGrey(hex) {
  const channels = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return Math.max(...channels) - Math.min(...channels) < 42;
}

function backdrop(seed) {
  const shift = (seed >>> 5) % 60;
  const all = [
    () => [s("circle", { class: "back", cx: 170 + shift, cy: 185, r: 150 })],
    () => [s("path", { class: "back", d: `M${70 + shift / 2} 330V190a115 115 0 0 1 230 0v140z` })],
    () => [s("path", { class: "back", d: `M0 ${240 - shift}Q110 ${190 - shift} 210 ${225 - shift}T400 ${180 - shift / 2}V400H0z` })],
    () => [s("rect", { class: "back", x: 60 + shift / 2, y: 60, width: 250, height: 250, rx: 28, transform: `rotate(${(shift % 20) - 10} 200 190)` })],
  ];
  return [...all[(seed >>> 3) % all.length](), s("ellipse", { class: "shade", cx: 200, cy: 338, rx: 125, ry: 11 })];
}

const measures = () => [
  s("path", { class: "measure", d: "M60 366H340M60 358v16M340 358v16M366 60V340M358 60h16M358 340h16" }),
];

// How fields, values, money and stock read.

const UNITS = { inches: "in", cm: "cm", mm: "mm", m: "m", kg: "kg", g: "g", gsm: "g/m²", l: "L", ml: "mL", w: "W", hz: "Hz", hours: "h", km: "km", percent: "%" };

/** A field such as `attributes.diagonal_inches`: its name for people, and its unit. */
export function naming(field) {
  const parts = field.replace(/^(attributes|options)\./, "").split(/[._]/);
  const unit = parts.length > 1 ? UNITS[parts.at(-1)] : undefined;
  if (unit) parts.pop();
  const name = parts.join(" ");
  return { name: (name[0] ?? "").toUpperCase() + name.slice(1), unit };
}

export function reading(field, value) {
  const text = String(value);
  if (text === "true") return "Yes";
  if (text === "false") return "No";
  const { unit } = naming(field);
  if (field === "options.diagonal") return `${text} in`;
  if (unit && !Number.isNaN(Number(text))) return `${text}${unit === "%" ? "" : "\u00a0"}${unit}`;
  const words = field === "product_type" ? text.replaceAll("-", " ") : text;
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

const list = new Intl.ListFormat("en", { type: "unit" });

/** A value of attributes, whatever it is. */
export function readingOfAny(field, value) {
  if (Array.isArray(value)) return list.format(value.map((one) => readingOfAny(field, one)));
  if (value && typeof value === "object") return list.format(Object.entries(value).map(([name, one]) => `${naming(name).name} ${readingOfAny(name, one)}`));
  return reading(field, value ?? "–");
}

const formats = new Map();

function format(currency) {
  if (!formats.has(currency)) formats.set(currency, new Intl.NumberFormat("en-IE", { style: "currency", currency }));
  return formats.get(currency);
}

/** How many of the smallest unit are one of the currency. */
export const minorUnits = (currency) => 10 ** format(currency).resolvedOptions().maximumFractionDigits;

export const money = (minor, currency) => format(currency).format(minor / minorUnits(currency));

export const symbol = (currency) => format(currency).formatToParts(0).find(({ type }) => type === "currency").value;

/** How stock reads, and how it looks: `good`, `low`, `none` or `unknown`. */
export function stock({ state, available }) {
  if (state === "out_of_stock") return { text: "Sold out", look: "none" };
  if (state === "not_stocked") return { text: "Always available", look: "good" };
  if (state !== "in_stock") return { text: "Stock not known right now", look: "unknown" };
  if (available <= 3) return { text: available === 1 ? "Last one" : `Only ${available} left`, look: "low" };
  return { text: `${available} in stock`, look: "good" };
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

const SIZES = ["XXS", "XS", "S", "M", "L", "XL", "XXL", "3XL"];

/** Sizes by size, numbers by value, everything else as it came. */
export function inOrder(values) {
  const rank = (value) => (SIZES.includes(value) ? SIZES.indexOf(value) : parseFloat(value));
  return values.some((value) => Number.isNaN(rank(value))) ? values : [...values].sort((a, b) => rank(a) - rank(b));
}

const COLOURS = {
  amber: "#c98a2b", berry: "#8d2f5a", black: "#26282a", blue: "#3566a8", "blue stripe": "#5b82b8", bordeaux: "#6d2033",
  brass: "#b08d3f", brown: "#75523a", charcoal: "#43484c", cherry: "#a8263a", coral: "#e37b66", cream: "#eee3c9",
  ecru: "#ddd2b8", forest: "#2c5640", fox: "#c2622f", graphite: "#4a4d52", grass: "#5c9a45", green: "#3d7f58",
  grey: "#8d9499", hare: "#a98f72", hedgehog: "#6f5c4c", indigo: "#3d4488", ink: "#252d47", lilac: "#a893c4",
  lime: "#a5c13d", midnight: "#1f2a44", mint: "#8fcab1", moss: "#66743d", mustard: "#cfa02e", natural: "#d3bf9c",
  navy: "#27406b", oatmeal: "#d3c6ad", ochre: "#c58a34", olive: "#747a3c", orange: "#e07f35", petrol: "#24616d",
  pink: "#df93a8", red: "#bf3a37", "red stripe": "#c9605c", rose: "#d38a94", rust: "#a9532f", sage: "#93a68a",
  sand: "#d0b88f", sky: "#8bb8d8", slate: "#5d6b78", smoke: "#a1a6a9", steel: "#93a1ab", terracotta: "#bd6745",
  oak: "#b58a55", walnut: "#6b4a36", pine: "#d4ae72", beech: "#cda277", ash: "#c9b491", birch: "#dcc6a0", teak: "#9a6a3c",
  acacia: "#8d5e38", bamboo: "#cfb06a", copper: "#b3693f", "cast iron": "#3b3f42", stoneware: "#9c8f7f", "stainless steel": "#9aa3a8",
  turquoise: "#3fa7a6", whale: "#5a7387", white: "#f1efea", yellow: "#e3bd3e",
};

/** The colour of that name, if it is known. */
export const colour = (name) => COLOURS[String(name).toLowerCase()];

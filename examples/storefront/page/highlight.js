// What matched, as marked text; and what was understood where a word is spelled otherwise.

import { h } from "./dom.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A text in pieces `[text, matches]`. The ranges count bytes of UTF-8. */
function pieces({ fragment, matches }) {
  const bytes = encoder.encode(fragment);
  const all = [];
  let at = 0;
  for (const [start, end] of matches) {
    if (start > at) all.push([decoder.decode(bytes.subarray(at, start)), false]);
    all.push([decoder.decode(bytes.subarray(start, end)), true]);
    at = end;
  }
  if (at < bytes.length) all.push([decoder.decode(bytes.subarray(at)), false]);
  return all;
}

/** A field of a hit with its matches marked, or the text as it is. */
export function marked(hit, field, text) {
  const highlight = hit.highlights.find((one) => one.field === field);
  if (!highlight || !highlight.matches.length) return [text];
  return pieces(highlight).map(([piece, matches]) => (matches ? h("mark", {}, piece) : piece));
}

const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** The query as it was understood, where the best hit has another spelling; else null. */
export function understood(q, hits) {
  const found = hits.slice(0, 3).flatMap((hit) => hit.highlights.flatMap(pieces).filter(([, is]) => is).map(([text]) => plain(text)));
  if (!found.length) return null;
  let changed = false;
  const words = q.trim().split(/\s+/).map((word) => {
    const typed = plain(word);
    if (typed.length < 4 || found.some((text) => text.startsWith(typed) || typed.startsWith(text))) return word;
    const [best, distance] = found.map((text) => [text, apart(typed, text)]).sort((a, b) => a[1] - b[1])[0];
    if (distance > 2) return word;
    changed = true;
    return best;
  });
  return changed ? words.join(" ") : null;
}

/** How many letters to change, add, drop or swap. */
function apart(a, b) {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  for (let j = 1; j <= b.length; j++) rows[0][j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[a.length][b.length];
}

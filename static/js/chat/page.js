/* What the server tells the scripts: facts of this page, and its words in the reader's language. */
function read(id) {
  return JSON.parse(document.getElementById(id)?.textContent ?? "{}");
}

export const page = read("chat-page");
export const words = read("chat-words");

/** A text of the page with its `{names}` filled in. */
export function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

export function reducedMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

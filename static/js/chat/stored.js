/* What this browser keeps for the reader: per user, and quietly nothing where storage is refused. */
import { page } from "./page.js";

const KEPT_DRAFTS = 60;

function key(kind, name) {
  return `parlor.${kind}.${page.user}.${name}`;
}

export function load(kind, name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(key(kind, name)))?.value ?? fallback;
  } catch {
    return fallback;
  }
}

/** Keeps `value`; an empty one is forgotten. */
export function save(kind, name, value) {
  try {
    if (value?.length) localStorage.setItem(key(kind, name), JSON.stringify({ at: Date.now(), value }));
    else localStorage.removeItem(key(kind, name));
  } catch {
    // Without storage the words last as long as the page.
  }
}

/** Old drafts of chats nobody went back to make room for new ones. */
export function forgetOld(kind) {
  try {
    const prefix = key(kind, "");
    const kept = Object.keys(localStorage)
      .filter((name) => name.startsWith(prefix))
      .map((name) => [JSON.parse(localStorage.getItem(name))?.at ?? 0, name])
      .sort((a, b) => b[0] - a[0]);
    for (const [, name] of kept.slice(KEPT_DRAFTS)) localStorage.removeItem(name);
  } catch {
    // As above.
  }
}

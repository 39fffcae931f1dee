/* Words with emphasis, code and links as DOM nodes; never through HTML text. The rules are those of the server
(common/markdown.py), so that nothing jumps when its rendering takes this one's place. */
const SPECIAL = /[\\`*_~[<!\nh]| +\n/g;
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}\p{S}]/u;
const URL_START = /https?:\/\/[^\s<>"'`|\\^{}[\]“”‘’«»]{1,2000}/iy;
const AUTOLINK = /<(https?:\/\/[^\s<>]{1,2000}|[\w.+-]{1,64}@[\w.-]{1,250})>/y;
const LINK = /\[((?:[^[\]\\\n]|\\.|\[[^[\]\n]{0,100}\]){0,500})\]\(\s{0,3}<?([^\s<>()]{0,1000}(?:\([^\s<>()]{0,200}\)[^\s<>()]{0,1000})?)>?(?:\s{1,3}"[^"]{0,200}")?\s{0,3}\)/y;
const HALF_LINK = /\[([^[\]\n]{0,500})(?:\]\([^\s()]{0,1000})?$/;
const TAGS = { "*": ["em", "strong"], _: ["em", "strong"], "~": ["s", "s"] };

/** Appends `text` to `parent`. With `isOpen` the text is still growing: what was begun counts as meant. */
export function inline(text, parent, isOpen = false) {
  const pieces = tokens(isOpen ? text.replace(HALF_LINK, "$1") : text, isOpen);
  pair(pieces, isOpen);
  build(pieces, parent);
}

function tokens(text, isOpen) {
  const pieces = [];
  let plain = "";
  let position = 0;
  const flush = () => {
    if (plain) pieces.push({ text: plain });
    plain = "";
  };
  while (position < text.length) {
    SPECIAL.lastIndex = position;
    const next = SPECIAL.exec(text)?.index ?? text.length;
    plain += text.slice(position, next);
    if (next === text.length) break;
    const found = special(text, next, isOpen);
    if (found) {
      if ("text" in found) plain += found.text;
      else flush(), pieces.push(found);
      position = next + found.length;
    } else {
      plain += text[next];
      position = next + 1;
    }
  }
  flush();
  return pieces;
}

function special(text, at, isOpen) {
  switch (text[at]) {
    case "\\":
      return escaped(text, at);
    case "`":
      return code(text, at, isOpen);
    case " ":
      return { text: "", length: text.indexOf("\n", at) - at };
    case "\n":
      return { node: document.createElement("br"), length: 1 + /^ */.exec(text.slice(at + 1, at + 5))[0].length };
    case "<":
      return match(AUTOLINK, text, at, ([whole, to]) => link(to.includes("://") ? to : `mailto:${to}`, to, whole.length));
    case "[":
      return match(LINK, text, at, ([whole, shown, to]) => link(to, shown, whole.length));
    case "!":
      // Pictures are their words.
      return match(LINK, text, at + 1, ([whole, shown]) => ({ text: shown, length: whole.length + 1 }));
    case "h":
      return match(URL_START, text, at, ([whole]) => bareLink(whole));
    default:
      return run(text, at);
  }
}

function match(pattern, text, at, use) {
  pattern.lastIndex = at;
  const found = pattern.exec(text);
  return found && use(found);
}

function escaped(text, at) {
  const next = text[at + 1];
  if (next === "\n") return { node: document.createElement("br"), length: 2 };
  return next && /[!-/:-@[-`{-~]/.test(next) ? { text: next, length: 2 } : null;
}

function code(text, at, isOpen) {
  const ticks = /^`+/.exec(text.slice(at))[0];
  let end = at + ticks.length;
  for (;;) {
    end = text.indexOf(ticks, end);
    if (end === -1 || (text[end + ticks.length] !== "`" && text[end - 1] !== "`")) break;
    while (text[end] === "`") end += 1;
  }
  if (end === -1 && !isOpen) return { text: ticks, length: ticks.length };
  const inside = text.slice(at + ticks.length, end === -1 ? undefined : end).replaceAll("\n", " ");
  const node = document.createElement("code");
  node.textContent = /^ .*[^ ].* $/.test(inside) ? inside.slice(1, -1) : inside;
  return { node, length: (end === -1 ? text.length : end + ticks.length) - at };
}

function bareLink(found) {
  let url = found.replace(/[.,;:!?*_~]+$/, "");
  if (url.endsWith(")") && url.split(")").length > url.split("(").length) url = url.slice(0, -1);
  return link(url, url, url.length);
}

/** Null for an address one should not be sent to: it stays text. */
function link(to, shown, length) {
  const url = safeUrl(to);
  if (!url) return null;
  const node = document.createDocumentFragment();
  const a = document.createElement("a");
  a.href = url.href;
  a.target = "_blank";
  a.rel = "nofollow noopener noreferrer";
  if (shown === to) a.textContent = shown;
  else inline(shown, a);
  node.append(a);
  const target = url.protocol === "mailto:" ? url.pathname : url.hostname;
  const said = a.textContent.trim().toLowerCase();
  if (!says(said, target, to, url.protocol)) {
    const host = document.createElement("span");
    host.className = "link-host";
    host.textContent = `(${target})`;
    node.append(" ", host);
  }
  return { node, length };
}

function says(said, target, to, protocol) {
  if (said === target || said === to.toLowerCase()) return true;
  return !said.includes(" ") && [`${protocol}//${target}/`, `${target}/`].some((start) => said.startsWith(start));
}

function safeUrl(to) {
  const netloc = to.split("/")[2]?.split(/[?#]/)[0] ?? "";
  try {
    const url = new URL(to);
    if (url.protocol === "mailto:") return url;
    return /^https?:$/.test(url.protocol) && !/[@%\\]/.test(netloc) ? url : null;
  } catch {
    return null;
  }
}

/** A run of `*`, `_` or `~~`, and whether it may open or close emphasis (CommonMark's flanking rules). */
function run(text, at) {
  const mark = text[at];
  let length = 1;
  while (text[at + length] === mark) length += 1;
  if (mark === "~" && length !== 2) return { text: mark.repeat(length), length };
  const before = text[at - 1] ?? " ";
  const after = text[at + length] ?? " ";
  const isLeft = !/\s/.test(after) && (!PUNCTUATION.test(after) || /\s/.test(before) || PUNCTUATION.test(before));
  const isRight = !/\s/.test(before) && (!PUNCTUATION.test(before) || /\s/.test(after) || PUNCTUATION.test(after));
  const isWord = mark === "_";
  return {
    mark,
    length,
    left: length,
    canOpen: isLeft && (!isWord || !isRight || PUNCTUATION.test(before)),
    canClose: isRight && (!isWord || !isLeft || PUNCTUATION.test(after)),
    opens: [],
    closes: [],
  };
}

/** Finds which runs belong together; each piece then knows what it opens and closes, outermost first. */
function pair(pieces, isOpen) {
  const openers = [];
  const bottom = {};
  for (let i = 0; i < pieces.length; i += 1) {
    const closer = pieces[i];
    if (!closer.mark) continue;
    while (closer.canClose && closer.left) {
      const key = closer.mark + (closer.canOpen ? closer.length % 3 : "");
      let j = openers.length - 1;
      while (j >= (bottom[key] ?? 0) && !fits(openers[j], closer)) j -= 1;
      if (j < (bottom[key] ?? 0)) {
        bottom[key] = openers.length;
        break;
      }
      const opener = openers[j];
      const size = opener.left >= 2 && closer.left >= 2 ? 2 : 1;
      join(opener, closer, size);
      openers.length = opener.left ? j + 1 : j;
      for (const name of Object.keys(bottom)) bottom[name] = Math.min(bottom[name], openers.length);
    }
    if (closer.canOpen && closer.left) openers.push(closer);
  }
  if (isOpen) closeAtEnd(openers, pieces);
}

function fits(opener, closer) {
  if (opener.mark !== closer.mark) return false;
  const either = (opener.canClose || closer.canOpen) && (opener.length + closer.length) % 3 === 0;
  return !either || (opener.length % 3 === 0 && closer.length % 3 === 0);
}

function join(opener, closer, size) {
  const tag = TAGS[opener.mark][opener.mark === "~" ? 0 : size - 1];
  const used = opener.mark === "~" ? 2 : size;
  opener.left -= used;
  closer.left -= used;
  opener.opens.unshift(tag);
  closer.closes.push(tag);
}

/** The end of a text that still grows: a mark that just began is left out, the others close here. */
function closeAtEnd(openers, pieces) {
  const last = pieces.at(-1);
  if (last?.mark && !last.canClose) last.left = 0;
  for (const opener of openers) {
    while (opener.left) {
      const size = opener.mark === "~" ? 2 : Math.min(opener.left, 2);
      opener.opens.unshift(TAGS[opener.mark][opener.mark === "~" ? 0 : size - 1]);
      opener.left -= size;
    }
  }
}

function build(pieces, parent) {
  const stack = [parent];
  for (const piece of pieces) {
    if (piece.node) stack.at(-1).append(piece.node);
    else if (!("mark" in piece)) stack.at(-1).append(piece.text);
    else {
      for (const _ of piece.closes) if (stack.length > 1) stack.pop();
      if (piece.left) stack.at(-1).append(piece.mark.repeat(piece.left));
      for (const tag of piece.opens) {
        const element = document.createElement(tag);
        stack.at(-1).append(element);
        stack.push(element);
      }
    }
  }
}

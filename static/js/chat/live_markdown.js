/* A reply while it is being written: a small, safe part of Markdown, built from DOM nodes and never from HTML text.

Blocks that are finished stay as they are; only the last one is drawn again. When the reply is complete the
server's rendering takes its place, so what is missing here (tables, nested lists) appears then. */
const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|__(.+?)__|\*([^\s*](?:.*?[^\s*])?)\*|_([^\s_](?:.*?[^\s_])?)_/s;
const MAX_INLINE = 4000;

function inline(text, parent) {
  let rest = text;
  while (rest) {
    const match = rest.length <= MAX_INLINE ? INLINE.exec(rest) : null;
    if (!match) break;
    parent.append(rest.slice(0, match.index));
    const [whole, ticks, code, strong, strongToo, em, emToo] = match;
    const element = document.createElement(ticks ? "code" : strong ?? strongToo ? "strong" : "em");
    if (ticks) element.textContent = code.trim();
    else inline(strong ?? strongToo ?? em ?? emToo, element);
    parent.append(element);
    rest = rest.slice(match.index + whole.length);
  }
  if (rest) parent.append(rest);
}

function lines(text, parent) {
  text.split("\n").forEach((line, number) => {
    if (number) parent.append(document.createElement("br"));
    inline(line, parent);
  });
}

function fence(block) {
  const [first, ...rest] = block.split("\n");
  const mark = /^(`{3,}|~{3,})/.exec(first)[1];
  if (rest.at(-1)?.startsWith(mark)) rest.pop();
  const pre = document.createElement("pre");
  const code = document.createElement("code");
  code.textContent = rest.join("\n");
  pre.append(code);
  return pre;
}

function list(block, tag, marker) {
  const element = document.createElement(tag);
  for (const line of block.split("\n")) {
    if (marker.test(line) || !element.lastChild) {
      const item = document.createElement("li");
      inline(line.replace(marker, ""), item);
      element.append(item);
    } else {
      element.lastChild.append(document.createElement("br"));
      inline(line.trim(), element.lastChild);
    }
  }
  return element;
}

function draw(block) {
  if (/^(`{3,}|~{3,})/.test(block)) return fence(block);
  if (/^\s*[-*+]\s/.test(block)) return list(block, "ul", /^\s*[-*+]\s+/);
  if (/^\s*\d{1,9}[.)]\s/.test(block)) return list(block, "ol", /^\s*\d{1,9}[.)]\s+/);
  const heading = /^(#{1,6})\s+(.*)$/s.exec(block);
  const tag = heading ? `h${Math.min(heading[1].length + 2, 6)}` : block.startsWith(">") ? "blockquote" : "p";
  const element = document.createElement(tag);
  lines(heading ? heading[2] : tag === "blockquote" ? block.replace(/^>\s?/gm, "") : block, element);
  return element;
}

/* The text cut at blank lines that are not inside a fence. */
function blocks(text) {
  const found = [];
  let current = [];
  let open = "";
  for (const line of text.split("\n")) {
    const mark = /^(`{3,}|~{3,})/.exec(line)?.[1] ?? "";
    if (open) {
      current.push(line);
      if (mark && mark[0] === open[0] && mark.length >= open.length) {
        open = "";
        found.push(current.join("\n"));
        current = [];
      }
    } else if (mark) {
      if (current.length) found.push(current.join("\n"));
      current = [line];
      open = mark;
    } else if (line.trim()) {
      current.push(line);
    } else if (current.length) {
      found.push(current.join("\n"));
      current = [];
    }
  }
  if (current.length) found.push(current.join("\n"));
  return found;
}

export class LiveText {
  constructor(place) {
    this.place = place;
    this.text = "";
    this.drawn = [];
    this.place.replaceChildren();
  }

  add(text) {
    this.text += text;
    this.request ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.request = undefined;
    blocks(this.text).forEach((block, number) => {
      if (this.drawn[number]?.block === block) return;
      const element = draw(block);
      if (this.drawn[number]) this.drawn[number].element.replaceWith(element);
      else this.place.append(element);
      this.drawn[number] = { block, element };
    });
    this.place.dispatchEvent(new CustomEvent("words", { bubbles: true }));
  }
}

/* A text while it is being written, drawn block by block. Blocks that are finished are never touched again; only
the last one is drawn anew, so a long reply costs no more at its end than at its beginning. When the reply is
complete the server's rendering takes its place. */
import { inline } from "./inline.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`\s]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/;
const RULE = /^ {0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])( {1,4}|$)/;
const TABLE_LINE = /^ {0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const LANGUAGE = /^[A-Za-z0-9+#.-]{1,30}$/;
const DEEPEST = 8;

/** The top-level blocks of some lines: `{kind, lines, …}` in order. `isSaid`: only fences and paragraphs. */
function blocks(lines, isSaid) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const block = take(lines, at, isSaid);
    found.push({ ...block, from: at });
    at = block.to;
  }
  return found;
}

function take(lines, at, isSaid) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return takeFence(lines, at, fence);
  if (isSaid) return takeParagraph(lines, at, (next) => FENCE.test(next));
  const heading = HEADING.exec(line);
  if (heading) return { kind: "heading", to: at + 1, level: heading[1].length, text: heading[2] ?? "" };
  if (RULE.test(line)) return { kind: "rule", to: at + 1 };
  if (QUOTE.test(line)) return takeQuote(lines, at);
  if (ITEM.test(line)) return takeList(lines, at);
  if (line.includes("|") && TABLE_LINE.test(lines[at + 1] ?? "") && cells(line).length === cells(lines[at + 1]).length) return takeTable(lines, at);
  return takeParagraph(lines, at, interrupts);
}

function interrupts(line) {
  const item = ITEM.exec(line);
  const startsList = item && item[0].trim() !== line.trim() && (item[2].length === 1 || item[2].startsWith("1") && item[2].length === 2);
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || startsList;
}

function takeParagraph(lines, at, ends) {
  let to = at + 1;
  while (to < lines.length && lines[to].trim() && !ends(lines[to])) to += 1;
  return { kind: "paragraph", to, text: lines.slice(at, to).map((line) => line.trimStart()).join("\n").trimEnd() };
}

function takeFence(lines, at, [, mark, language]) {
  const closing = new RegExp(`^ {0,3}${mark[0]}{${mark.length},}\\s*$`);
  let to = at + 1;
  while (to < lines.length && !closing.test(lines[to])) to += 1;
  const indent = new RegExp(`^ {0,${lines[at].length - lines[at].trimStart().length}}`);
  const text = lines.slice(at + 1, to).map((line) => line.replace(indent, "")).join("\n");
  return { kind: "fence", to: Math.min(to + 1, lines.length), text, language, isClosed: to < lines.length };
}

function takeQuote(lines, at) {
  let to = at;
  const inside = [];
  while (to < lines.length && lines[to].trim() && (QUOTE.test(lines[to]) || !interrupts(lines[to]))) {
    inside.push(lines[to].replace(QUOTE, ""));
    to += 1;
  }
  return { kind: "quote", to, inside };
}

function takeList(lines, at) {
  const first = ITEM.exec(lines[at]);
  const mark = first[2].at(-1);
  const items = [];
  let isLoose = false;
  let to = at;
  while (to < lines.length) {
    const item = ITEM.exec(lines[to]);
    if (!item || item[2].at(-1) !== mark || RULE.test(lines[to])) break;
    const taken = takeItem(lines, to, item[0].length);
    items.push(taken.inside);
    isLoose ||= taken.hasGap || (taken.endsInGap && ITEM.test(lines[taken.to] ?? ""));
    to = taken.to;
  }
  const start = Number.parseInt(first[2], 10);
  return { kind: "list", to, items, isLoose, start: Number.isNaN(start) ? null : start };
}

function takeItem(lines, at, indent) {
  const inside = [lines[at].slice(indent)];
  let to = at + 1;
  let gap = 0;
  let hasGap = false;
  for (; to < lines.length; to += 1) {
    const line = lines[to];
    const depth = line.length - line.trimStart().length;
    if (!line.trim()) gap += 1;
    else if (depth >= indent) {
      hasGap ||= gap > 0;
      inside.push(...Array(gap).fill(""), line.slice(indent));
      gap = 0;
    } else if (gap || interrupts(line) || ITEM.test(line)) break;
    else inside.push(line.trimStart());
  }
  return { inside, to, hasGap, endsInGap: gap > 0 };
}

function takeTable(lines, at) {
  let to = at + 2;
  while (to < lines.length && lines[to].trim() && !interrupts(lines[to])) to += 1;
  return { kind: "table", to, head: cells(lines[at]), rows: lines.slice(at + 2, to).map(cells) };
}

function cells(line) {
  return line.trim().replace(/^\||(?<!\\)\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

const make = (tag) => document.createElement(tag);

function filled(tag, text, isOpen) {
  const element = make(tag);
  inline(text, element, isOpen);
  return element;
}

const DRAW = {
  paragraph: (block, isOpen) => filled("p", block.text, isOpen),
  heading: (block, isOpen) => filled(`h${Math.min(block.level + 2, 6)}`, block.text, isOpen),
  rule: () => make("hr"),
  fence: drawFence,
  quote: drawQuote,
  list: drawList,
  table: drawTable,
};

function drawFence(block) {
  const pre = make("pre");
  const code = make("code");
  if (LANGUAGE.test(block.language)) code.className = `language-${block.language}`;
  code.append(block.text);
  pre.append(code);
  return pre;
}

function drawQuote(block, isOpen, depth) {
  const quote = make("blockquote");
  quote.append(...drawAll(block.inside, isOpen, depth));
  return quote;
}

function drawList(block, isOpen, depth) {
  const list = make(block.start === null ? "ul" : "ol");
  if (block.start !== null && block.start !== 1) list.start = block.start;
  block.items.forEach((inside, number) => {
    const item = make("li");
    const isLast = number === block.items.length - 1;
    for (const element of drawAll(inside, isOpen && isLast, depth)) {
      if (element.tagName === "P" && !block.isLoose) item.append(...element.childNodes);
      else item.append(element);
    }
    list.append(item);
  });
  return list;
}

function drawTable(block, isOpen) {
  const table = make("table");
  const head = make("thead");
  head.append(tableRow("th", block.head, block.head.length));
  const body = make("tbody");
  body.append(...block.rows.map((row) => tableRow("td", row, block.head.length)));
  table.append(head, ...(block.rows.length ? [body] : []));
  return table;
}

function tableRow(tag, row, width) {
  const element = make("tr");
  for (let column = 0; column < width; column += 1) element.append(filled(tag, row[column] ?? "", false));
  return element;
}

function drawAll(lines, isOpen, depth) {
  if (depth > DEEPEST) return [filled("p", lines.join("\n"), false)];
  const all = blocks(lines, false);
  return all.map((block, number) => DRAW[block.kind](block, isOpen && number === all.length - 1, depth + 1));
}

/** What a person typed, as it will look when the server has it. */
export function drawSaid(text) {
  return blocks(text.split("\n"), true).map((block) => DRAW[block.kind](block, false, 0));
}

/** Code may have got a frame around it since it was drawn. */
function framed(element) {
  return element.closest(".code-frame") ?? element;
}

/** A growing text in `place`. `drawn` is called after each painting. */
export class LiveText {
  constructor(place, drawn = () => {}) {
    this.place = place;
    this.drawn = drawn;
    this.text = "";
    this.settled = 0;
    this.last = [];
    this.isFresh = true;
  }

  add(text) {
    this.text += text;
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  /** Draws what has come since the last time. Pages in the background are drawn when they are looked at. */
  draw(isOpen = true) {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    if (this.isFresh) this.place.replaceChildren();
    this.isFresh = false;
    const lines = this.text.slice(this.settled).split("\n");
    const all = blocks(lines, false);
    all.forEach((block, number) => this.drawBlock(block, number, isOpen && number === all.length - 1));
    for (const extra of this.last.splice(all.length)) framed(extra.element).remove();
    this.settle(lines, all);
    this.drawn();
  }

  drawBlock(block, number, isOpen) {
    const old = this.last[number];
    if (old && block.kind === "fence" && old.kind === "fence" && block.text.startsWith(old.text)) {
      // Long code grows in place: selecting and scrolling inside it goes on working.
      old.element.querySelector("code").firstChild.appendData(block.text.slice(old.text.length));
      old.text = block.text;
      return;
    }
    const element = DRAW[block.kind](block, isOpen, 0);
    if (old) framed(old.element).replaceWith(element);
    else this.place.append(element);
    this.last[number] = { kind: block.kind, text: block.text, element };
  }

  /** Everything before the last block stays as it is, once a whole line shows that it is another block. */
  settle(lines, all) {
    const from = all.at(-1)?.from;
    if (all.length < 2 || from === lines.length - 1) return;
    this.settled += lines.slice(0, from).reduce((sum, line) => sum + line.length + 1, 0);
    this.last.splice(0, all.length - 1);
  }
}

/* The messages on the page. Each was rendered by the server, or is made here from the server's own template. */
import { icon } from "../site/icons.js";
import { formatTime, showLocalTimes } from "../site/times.js";
import { fragment } from "./api.js";
import { drawSaid } from "./live_markdown.js";
import { page, say, words } from "./page.js";

const language = document.documentElement.lang || undefined;
const LIVE = new Set(["pending", "streaming"]);

export class Thread {
  constructor(root, scroll) {
    this.list = root.querySelector("[data-messages]");
    this.scroll = scroll;
    this.root = root;
    this.decorate(this.list);
    this.placeDays();
    this.nearTop = new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && this.showOlder(), {
      root: scroll.place,
      rootMargin: "800px 0px 0px",
    });
    this.watchTop();
  }

  find(id) {
    return id ? document.getElementById(`m-${id}`) : null;
  }

  byClientId(clientId) {
    return clientId ? this.list.querySelector(`[data-client-id="${CSS.escape(clientId)}"]`) : null;
  }

  get messages() {
    return [...this.list.querySelectorAll(":scope > .message")];
  }

  get last() {
    return this.messages.at(-1);
  }

  /** Those the page believes to be running. */
  get live() {
    return this.messages.filter((message) => LIVE.has(message.dataset.status));
  }

  lastOf(role) {
    return this.messages.filter((message) => message.dataset.role === role && message.dataset.message).at(-1);
  }

  /* --- Messages that arrive --- */

  /** Shows a message of an event. False where it belongs to a part of the tree the page does not have. */
  show(message) {
    const known = this.find(message.id) ?? this.byClientId(message.client_id);
    if (known) {
      if (!known.dataset.message) this.name(known, message.id);
      known.classList.remove("message-waiting");
      known.querySelector("[data-note]")?.remove();
      known.dataset.status = message.status;
      return true;
    }
    const parent = this.find(message.parent);
    if (message.parent && !parent) return false;
    const element = this.make(message.role, message.content);
    this.name(element, message.id);
    element.dataset.status = message.status;
    if (message.client_id) element.dataset.clientId = message.client_id;
    if (parent) this.cutAfter(parent);
    else this.list.replaceChildren();
    this.append(element);
    return true;
  }

  /** One's own words, before the server has said that it has them. */
  showWaiting(clientId, content) {
    const element = this.make("user", content);
    element.dataset.clientId = clientId;
    element.classList.add("message-waiting");
    this.append(element);
    this.scroll.toEnd();
    return element;
  }

  append(element) {
    this.root.querySelector("[data-open-end]")?.remove();
    this.list.append(element);
    this.placeDays();
    if (this.scroll.isFollowing) this.scroll.toEnd();
  }

  /** What stood after a message was another branch; what waits to be sent stays. */
  cutAfter(element) {
    for (let next = element.nextElementSibling; next; ) {
      const following = next.nextElementSibling;
      if (!next.classList.contains("message-waiting")) next.remove();
      next = following;
    }
  }

  make(role, content) {
    const element = document.getElementById(`blank-${role}`).content.cloneNode(true).querySelector(".message");
    for (const name of ["id", "data-message", "data-version"]) element.removeAttribute(name);
    element.querySelector("[data-words]").replaceChildren(...(role === "user" ? drawSaid(content) : []));
    const time = element.querySelector("time");
    time.dateTime = new Date().toISOString();
    showLocalTimes(element);
    this.dressCode(element);
    return element;
  }

  /** From now on its buttons mean this message. */
  name(element, id) {
    element.id = `m-${id}`;
    element.dataset.message = id;
    for (const tool of element.querySelectorAll("[formaction], a[href]")) {
      for (const attribute of ["formaction", "href"]) {
        const address = tool.getAttribute(attribute);
        if (address?.includes(page.blank)) tool.setAttribute(attribute, address.replace(page.blank, id));
      }
    }
  }

  note(element, text, ...buttons) {
    element.querySelector("[data-note]")?.remove();
    if (!text) return;
    const note = document.createElement("p");
    note.className = "message-note";
    note.dataset.note = "";
    const said = document.createElement("span");
    said.textContent = text;
    note.append(icon("info"), said, ...buttons);
    element.querySelector("[data-words]").after(note);
  }

  /* --- The server's rendering --- */

  /** Takes the message and what it answers as the server has them now; gives back the chat's line of the list. */
  async refresh(id) {
    const news = await fragment(`/chat/messages/${id}/`);
    for (const element of news.querySelectorAll(".message")) this.replace(this.find(element.dataset.message), element);
    this.placeDays();
    return news.querySelector("[data-session-row]");
  }

  replace(old, element) {
    if (!old || old.dataset.version === element.dataset.version) return;
    const hadFocus = old.contains(document.activeElement);
    old.replaceWith(element);
    this.decorate(element);
    if (hadFocus) element.querySelector(".message-tools :is(button, a)")?.focus({ preventScroll: true });
  }

  /** Brings the page to the state of `news`, the newest part of the conversation, moving as little as it can. */
  reconcile(news) {
    const wanted = [...news.querySelectorAll(".message")];
    const start = wanted.findIndex((element) => this.find(element.dataset.message));
    this.scroll.keeping(() => {
      const waiting = this.messages.filter((message) => message.classList.contains("message-waiting"));
      if (start > 0 || (start === -1 && wanted.length)) this.list.replaceChildren(...news.children);
      else this.merge(wanted);
      this.list.append(...waiting.filter((message) => !this.byClientId(message.dataset.clientId)));
    });
    this.root.querySelector("[data-open-end]")?.remove();
    this.decorate(this.list);
    this.placeDays();
    this.watchTop();
  }

  merge(wanted) {
    if (!wanted.length) this.list.replaceChildren();
    let before = null;
    for (const element of wanted) {
      const old = this.find(element.dataset.message);
      const isSame = old && (old.dataset.version === element.dataset.version || (old.isWritten && LIVE.has(element.dataset.status)));
      const chosen = isSame ? old : element;
      if (old && !isSame) old.replaceWith(element);
      else if (!old) before.after(element);
      before = chosen;
    }
    while (before?.nextElementSibling) before.nextElementSibling.remove();
  }

  async load() {
    this.reconcile(await fragment(page.thread));
  }

  /* --- Earlier messages --- */

  watchTop() {
    this.nearTop.disconnect();
    const older = this.list.querySelector("[data-older]");
    if (older) this.nearTop.observe(older);
  }

  async showOlder() {
    const link = this.list.querySelector("[data-older]:not([aria-busy])");
    if (!link) return;
    link.setAttribute("aria-busy", "true");
    this.nearTop.disconnect();
    try {
      const news = await fragment(link.href);
      const elements = [...news.children];
      this.scroll.keeping(() => {
        link.closest("li").replaceWith(...elements);
        for (const element of elements) this.decorate(element);
        this.placeDays();
      });
      this.watchTop();
    } catch {
      // The link stays; pressing it tries again.
      link.removeAttribute("aria-busy");
    }
  }

  /* --- Small things --- */

  /** A line where a day begins, in the reader's own time zone. */
  placeDays() {
    let day = "";
    for (const old of this.list.querySelectorAll(":scope > [data-day]")) old.remove();
    for (const message of this.messages) {
      const date = new Date(message.querySelector("time").dateTime);
      if (date.toDateString() === day) continue;
      day = date.toDateString();
      const line = document.createElement("li");
      line.className = "day";
      line.dataset.day = "";
      const time = document.createElement("time");
      time.dateTime = date.toISOString();
      time.textContent = nameOfDay(date);
      line.append(time);
      message.before(line);
    }
  }

  decorate(element) {
    showLocalTimes(element);
    this.dressCode(element);
  }

  dressCode(element) {
    for (const pre of element.querySelectorAll("pre")) {
      if (pre.parentElement.classList.contains("code-frame")) continue;
      const frame = document.createElement("div");
      frame.className = "code-frame";
      const head = document.createElement("div");
      head.className = "code-head";
      const name = document.createElement("span");
      name.textContent = /language-(\S+)/.exec(pre.querySelector("code")?.className)?.[1] ?? "";
      const button = document.createElement("button");
      button.type = "button";
      button.className = "tool";
      button.dataset.act = "copy-code";
      button.setAttribute("aria-label", words.copyCode);
      button.append(icon("copy"));
      head.append(name, button);
      pre.replaceWith(frame);
      pre.tabIndex = 0;
      frame.append(head, pre);
    }
  }
}

function nameOfDay(date) {
  const today = new Date();
  const yesterday = new Date(today);
  yesterday.setDate(today.getDate() - 1);
  if (date.toDateString() === today.toDateString()) return say("today");
  if (date.toDateString() === yesterday.toDateString()) return say("yesterday");
  const isThisYear = date.getFullYear() === today.getFullYear();
  if (!isThisYear) return formatTime(date, "date");
  return new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" }).format(date);
}

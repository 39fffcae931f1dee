/* The messages on the page: where they stand, what they show, and how far down the reader is. */
import { icon } from "../site/icons.js";
import { showLocalTimes } from "../site/times.js";
import { partial } from "./api.js";

const NEAR_END = 80;

export class Thread {
  constructor(root, words) {
    this.root = root;
    this.words = words;
    this.scroll = root.querySelector("[data-scroll]");
    this.list = root.querySelector("[data-messages]");
    this.pill = root.querySelector("[data-new-words]");
    this.isAtEnd = true;
    this.scroll.addEventListener("scroll", () => this.notePosition(), { passive: true });
    this.list.addEventListener("words", () => this.followWords());
    this.pill.addEventListener("click", () => this.goToEnd());
    new ResizeObserver(() => this.isAtEnd && this.goToEnd()).observe(this.scroll);
    this.decorate(this.list);
    this.goToEnd();
  }

  find(id) {
    return id ? document.getElementById(`m-${id}`) : null;
  }

  /* A message stands right after its parent; what stood there was another branch. */
  place(element, parentId) {
    const parent = this.find(parentId);
    if (parent) while (parent.nextElementSibling) parent.nextElementSibling.remove();
    this.root.querySelector("[data-open-end]")?.remove();
    this.list.append(element);
    this.followWords();
  }

  /* The element of a message that an event told of; made if the page does not have it yet. */
  show(message) {
    const known = this.find(message.id) ?? this.waiting(message.client_id);
    if (known) {
      known.id = `m-${message.id}`;
      known.dataset.message = message.id;
      known.classList.remove("message-waiting");
      return known;
    }
    const element = this.build(message.role, message.content);
    element.id = `m-${message.id}`;
    element.dataset.message = message.id;
    element.dataset.status = message.status;
    this.place(element, message.parent);
    return element;
  }

  waiting(clientId) {
    return clientId ? this.list.querySelector(`[data-client-id="${CSS.escape(clientId)}"]`) : null;
  }

  /* One's own words, before the server has said that it has them. */
  showWaiting(clientId, content) {
    const element = this.build("user", content);
    element.dataset.clientId = clientId;
    element.classList.add("message-waiting");
    this.list.append(element);
    this.root.querySelector("[data-open-end]")?.remove();
    this.goToEnd();
    return element;
  }

  build(role, content) {
    const element = document.createElement("li");
    element.className = `message message-${role}`;
    element.dataset.role = role;
    if (role === "assistant") {
      const face = Object.assign(document.createElement("img"), { className: "face message-face", alt: "", width: 40, height: 40 });
      face.src = this.root.dataset.face;
      element.append(face);
    }
    const body = Object.assign(document.createElement("div"), { className: "message-body" });
    const who = Object.assign(document.createElement("h2"), { className: "visually-hidden" });
    who.textContent = role === "assistant" ? this.root.dataset.persona : this.words.you;
    const words = Object.assign(document.createElement("div"), { className: "words" });
    words.dataset.words = "";
    for (const part of content ? content.split(/\n{2,}/) : []) {
      const paragraph = document.createElement("p");
      paragraph.className = "as-typed";
      paragraph.textContent = part;
      words.append(paragraph);
    }
    body.append(who, words);
    element.append(body);
    return element;
  }

  /* Take the server's rendering of a message that has changed. */
  async refresh(id) {
    const [element] = await partial(`/chat/messages/${id}/`);
    const old = this.find(id);
    if (!element || !old) return;
    old.replaceWith(element);
    this.decorate(element);
    globalThis.htmx?.process(element);
    this.followWords();
  }

  async showOlder(link) {
    link.setAttribute("aria-busy", "true");
    const elements = await partial(link.href);
    const before = this.scroll.scrollHeight - this.scroll.scrollTop;
    const seen = this.list.querySelector("[data-day]");
    const newest = elements.filter((element) => element.dataset.day).at(-1);
    link.closest("li").replaceWith(...elements);
    if (seen && newest?.dataset.day === seen.dataset.day) seen.remove();
    elements.forEach((element) => this.decorate(element));
    this.scroll.scrollTop = this.scroll.scrollHeight - before;
  }

  decorate(element) {
    showLocalTimes(element);
    for (const pre of element.querySelectorAll("pre:not([data-copy-ready])")) {
      pre.dataset.copyReady = "";
      pre.tabIndex = 0;
      const button = Object.assign(document.createElement("button"), { type: "button", className: "tool copy-code" });
      button.setAttribute("aria-label", this.words.copy);
      button.dataset.act = "copy-code";
      button.append(icon("copy"));
      const frame = Object.assign(document.createElement("div"), { className: "code-frame" });
      pre.replaceWith(frame);
      frame.append(pre, button);
    }
  }

  notePosition() {
    this.isAtEnd = this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < NEAR_END;
    if (this.isAtEnd) this.pill.hidden = true;
  }

  followWords() {
    if (this.isAtEnd) this.goToEnd();
    else this.pill.hidden = false;
  }

  goToEnd() {
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.isAtEnd = true;
    this.pill.hidden = true;
  }
}

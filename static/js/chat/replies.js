/* Replies that are being written. Each event counts once and in order, whichever way it came.

Events: `change` (something runs, or nothing does any more), `end` (`detail` is the event that told the end),
`astray` (the page does not have the message: it has to be loaded). */
import { isEnd } from "./fallback.js";
import { LiveText } from "./live_markdown.js";
import { say } from "./page.js";

export class Replies extends EventTarget {
  constructor(thread, scroll, announcer, resume) {
    super();
    this.thread = thread;
    this.scroll = scroll;
    this.announcer = announcer;
    this.resume = resume;
    this.running = new Map();
    this.ended = new Set();
  }

  /** The generation that can be stopped now. */
  get current() {
    return [...this.running.keys()].at(-1);
  }

  /** The last event this page has of a generation. */
  lastSeq(id) {
    return this.running.get(id)?.seq ?? 0;
  }

  has(id) {
    return this.running.has(id) || this.ended.has(id);
  }

  /** A generation is known to run, before any event of it has come. */
  expect(id, messageId) {
    if (this.has(id)) return;
    const element = this.thread.find(messageId) ?? this.thread.live.at(-1);
    if (!element) return;
    this.begin(id, element);
  }

  receive(event) {
    const id = event.generation_id;
    if (this.ended.has(id)) return;
    if (event.type === "generation.started") this.start(id, event.message_id);
    else if (event.type === "generation.delta") this.add(id, event);
    else if (isEnd(event.type)) this.end(id, event);
  }

  start(id, messageId) {
    if (this.running.has(id)) return;
    const element = this.thread.find(messageId);
    if (element) this.begin(id, element);
    else this.dispatchEvent(new CustomEvent("astray", { detail: id }));
  }

  begin(id, element) {
    this.thread.note(element, "");
    element.classList.add("message-live");
    element.dataset.status = "streaming";
    element.isWritten = true;
    const text = new LiveText(element.querySelector("[data-words]"), () => {
      this.thread.dressCode(element);
      this.scroll.grew(element);
    });
    this.scroll.hold(element);
    this.running.set(id, { seq: 0, element, text });
    this.announcer.begin(say("answers"));
    this.dispatchEvent(new Event("change"));
  }

  add(id, { seq, text }) {
    const reply = this.running.get(id);
    if (!reply) {
      this.dispatchEvent(new CustomEvent("astray", { detail: id }));
      return;
    }
    if (seq <= reply.seq) return;
    if (seq > reply.seq + 1) {
      if (reply.askedAt !== reply.seq) this.resume(id, reply.seq);
      reply.askedAt = reply.seq;
      return;
    }
    reply.seq = seq;
    reply.text.add(text);
    this.announcer.add(text);
  }

  end(id, event) {
    const reply = this.running.get(id);
    this.running.delete(id);
    this.ended.add(id);
    if (reply) {
      if (event.message) reply.element.dataset.status = event.message.status;
      reply.text.draw(false);
      reply.element.classList.remove("message-live");
      reply.element.isWritten = false;
      this.announcer.end(event.detail || say("finished"));
    }
    this.dispatchEvent(new CustomEvent("end", { detail: event }));
    this.dispatchEvent(new Event("change"));
  }

  /** The end was missed: the page is loaded anew, and this stops waiting for it. */
  forget(id) {
    this.running.get(id)?.element.classList.remove("message-live");
    this.running.delete(id);
    this.dispatchEvent(new Event("change"));
  }
}

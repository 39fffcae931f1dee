/* Replies that are being written: each event is used once and in order, wherever it came from. */
import { LiveText } from "./live_markdown.js";
import { isEnd } from "./connection.js";

const SENTENCE = /[^.!?…]*[.!?…]+["”')\]]*\s+/g;

export class Replies extends EventTarget {
  constructor(thread, connection, spoken) {
    super();
    this.thread = thread;
    this.connection = connection;
    this.spoken = spoken;
    this.running = new Map();
  }

  get current() {
    return [...this.running.keys()].at(-1);
  }

  lastSeq(generationId) {
    return this.running.get(generationId)?.seq ?? 0;
  }

  receive(event) {
    if (event.type === "generation.started") this.begin(event);
    else if (event.type === "generation.delta") this.add(event);
    else if (isEnd(event.type)) this.end(event);
  }

  begin({ generation_id: id, message_id: messageId }) {
    if (this.running.has(id)) return;
    const element = this.thread.find(messageId) ?? this.thread.list.querySelector('[data-status="streaming"], [data-status="pending"]');
    if (!element) return;
    element.querySelector("[data-note]")?.remove();
    element.classList.add("message-live");
    const place = element.querySelector("[data-words]");
    this.running.set(id, { seq: 0, messageId, element, live: new LiveText(place), unspoken: "" });
    this.dispatchEvent(new Event("change"));
  }

  add({ generation_id: id, seq, text }) {
    const reply = this.running.get(id);
    if (!reply || seq <= reply.seq) return;
    if (seq > reply.seq + 1) {
      this.connection.send({ type: "generation.resume", generation_id: id, after: reply.seq });
      return;
    }
    reply.seq = seq;
    reply.live.add(text);
    this.speak(reply, text);
  }

  /* A screen reader hears sentences, not letters. */
  speak(reply, text) {
    reply.unspoken += text;
    const sentences = reply.unspoken.match(SENTENCE);
    if (!sentences) return;
    const ready = sentences.join("");
    reply.unspoken = reply.unspoken.slice(ready.length);
    this.say(ready);
  }

  say(text) {
    const line = document.createElement("p");
    line.textContent = text;
    this.spoken.append(line);
    while (this.spoken.childElementCount > 4) this.spoken.firstElementChild.remove();
  }

  end(event) {
    const reply = this.running.get(event.generation_id);
    if (reply?.unspoken) this.say(reply.unspoken);
    reply?.element.classList.remove("message-live");
    this.running.delete(event.generation_id);
    this.dispatchEvent(new CustomEvent("end", { detail: event }));
    this.dispatchEvent(new Event("change"));
  }

  /* After the connection came back: those no longer running have ended meanwhile. */
  resume(runningIds) {
    for (const id of runningIds) {
      this.connection.send({ type: "generation.resume", generation_id: id, after: this.lastSeq(id) });
    }
    for (const [id] of this.running) {
      if (!runningIds.includes(id)) this.connection.send({ type: "generation.resume", generation_id: id, after: this.lastSeq(id) });
    }
  }
}

/* The websocket of one chat: it comes back by itself, a little later each time, and says how it is. */
const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 15_000;
const PING_EVERY = 25_000;
const FINAL_CODES = new Set([4401, 4404]);

export class Connection extends EventTarget {
  constructor(sessionId) {
    super();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.address = `${scheme}://${location.host}/ws/chat/${sessionId}/`;
    this.attempts = 0;
    this.open();
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  get isReady() {
    return this.isSessionReady && this.socket.readyState === WebSocket.OPEN;
  }

  send(frame) {
    if (!this.isReady) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  open() {
    clearTimeout(this.timer);
    this.isSessionReady = false;
    this.socket = new WebSocket(this.address);
    this.socket.addEventListener("message", (event) => this.receive(JSON.parse(event.data)));
    this.socket.addEventListener("close", (event) => this.closed(event));
  }

  hurry() {
    if (this.socket.readyState === WebSocket.CLOSED && !this.isOver) this.open();
  }

  receive(event) {
    if (event.type === "session.ready") {
      this.attempts = 0;
      this.isSessionReady = true;
      clearInterval(this.pinging);
      this.pinging = setInterval(() => this.send({ type: "ping" }), PING_EVERY);
    }
    this.dispatchEvent(new CustomEvent("event", { detail: event }));
  }

  closed(event) {
    clearInterval(this.pinging);
    this.isSessionReady = false;
    this.isOver = FINAL_CODES.has(event.code);
    this.dispatchEvent(new CustomEvent("lost", { detail: { code: event.code } }));
    if (this.isOver) return;
    // With jitter, so that everybody does not come back in the same moment after a restart.
    const pause = Math.min(FIRST_PAUSE * 2 ** this.attempts++, LONGEST_PAUSE) * (0.5 + Math.random());
    this.timer = setTimeout(() => this.open(), pause);
  }
}

const TYPES = [
  "message.created",
  "generation.started",
  "generation.delta",
  "generation.completed",
  "generation.stopped",
  "generation.interrupted",
  "generation.failed",
  "generation.blocked",
];

/* The same events by server-sent events, for networks that let no websocket through. */
export function followByEvents(generationId, receive) {
  const source = new EventSource(`/api/v1/chat/generations/${generationId}/events/`);
  for (const type of TYPES) {
    source.addEventListener(type, (message) => {
      const event = JSON.parse(message.data);
      receive(event);
      if (isEnd(event.type)) source.close();
    });
  }
  return source;
}

export function isEnd(type) {
  return TYPES.slice(3).includes(type);
}

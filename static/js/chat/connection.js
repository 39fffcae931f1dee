/* The websocket of one chat. It comes back by itself, a little later each time, and says how it is.

Events: `event` (what the server sent, `detail` is the object), `state` (`detail`: live, lost, offline,
blocked, signed-out, gone, crowded). `blocked` means that sockets seem not to get through at all. */
const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 20_000;
const CROWDED_PAUSE = 30_000;
const PING_EVERY = 20_000;
const PONG_WITHIN = 8_000;
const READY_WITHIN = 10_000;
const FAILURES_UNTIL_BLOCKED = 3;
const FINAL = { 4401: "signed-out", 4404: "gone" };

export class Connection extends EventTarget {
  constructor(sessionId) {
    super();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.address = `${scheme}://${location.host}/ws/chat/${sessionId}/`;
    this.isReady = false;
    this.isOver = false;
    this.attempts = 0;
    this.openedOnce = false;
    this.tell("connecting");
    addEventListener("online", () => this.hurry());
    addEventListener("offline", () => this.isReady || this.tell("offline"));
    addEventListener("pageshow", (event) => event.persisted && this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  tell(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  /** Whether the frame is on its way. */
  send(frame) {
    if (!this.isReady || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  open() {
    clearTimeout(this.retry);
    const socket = new WebSocket(this.address);
    this.socket = socket;
    this.patience = setTimeout(() => this.drop(), READY_WITHIN);
    socket.addEventListener("message", ({ data }) => this.socket === socket && this.receive(JSON.parse(data)));
    socket.addEventListener("close", ({ code }) => this.socket === socket && this.closed(code));
  }

  /** Somebody came back to the page or to the network: now is better than later. */
  hurry() {
    if (this.isOver) return;
    if (this.isReady) this.ping();
    else if (this.socket?.readyState !== WebSocket.CONNECTING) this.open();
  }

  receive(event) {
    clearTimeout(this.patience);
    this.patience = undefined;
    if (event.type === "pong") return;
    if (event.type === "session.ready") this.greeted();
    this.dispatchEvent(new CustomEvent("event", { detail: event }));
  }

  greeted() {
    this.attempts = 0;
    this.openedOnce = true;
    this.isReady = true;
    clearInterval(this.pinging);
    this.pinging = setInterval(() => this.ping(), PING_EVERY);
    this.tell("live");
  }

  /** A line that is dead without saying so is found out. */
  ping() {
    if (this.send({ type: "ping" })) this.patience ??= setTimeout(() => this.drop(), PONG_WITHIN);
  }

  drop() {
    const socket = this.socket;
    this.closed(1006);
    socket.close();
  }

  closed(code) {
    clearTimeout(this.patience);
    clearInterval(this.pinging);
    this.patience = undefined;
    this.socket = undefined;
    this.isReady = false;
    this.isOver = code in FINAL;
    if (this.isOver) {
      this.tell(FINAL[code]);
      return;
    }
    this.attempts += 1;
    this.retry = setTimeout(() => this.open(), this.pause(code));
    if (code === 4429) this.tell("crowded");
    else if (!navigator.onLine) this.tell("offline");
    else this.tell(!this.openedOnce && this.attempts >= FAILURES_UNTIL_BLOCKED ? "blocked" : "lost");
  }

  /** With jitter, so that not everybody comes back in one moment after a restart. */
  pause(code) {
    const longest = code === 4429 ? CROWDED_PAUSE : LONGEST_PAUSE;
    const first = code === 4429 ? CROWDED_PAUSE / 2 : FIRST_PAUSE;
    return Math.min(first * 2 ** Math.min(this.attempts - 1, 8), longest) * (0.5 + Math.random());
  }
}

/* Replies without a websocket: server-sent events, and where not even those get through, asking again. */
import { call } from "./api.js";

const DELTAS = ["generation.started", "generation.delta"];
const ENDS = ["generation.completed", "generation.stopped", "generation.interrupted", "generation.failed", "generation.blocked"];
const LIVE = ["queued", "streaming"];
const MAX_ERRORS = 3;
const ASK_EVERY = 1500;

export function isEnd(type) {
  return ENDS.includes(type);
}

/** Follows one reply from event `after` on. `receive` gets events, `lost` is called when the end was missed. */
export class Follower {
  constructor(generationId, after, receive, lost) {
    this.id = generationId;
    this.receive = receive;
    this.lost = lost;
    this.errors = 0;
    this.source = new EventSource(`/api/v1/chat/generations/${generationId}/events/?after=${after}`);
    for (const type of [...DELTAS, ...ENDS]) {
      this.source.addEventListener(type, ({ data }) => this.take(JSON.parse(data)));
    }
    this.source.addEventListener("error", () => this.failed());
  }

  take(event) {
    this.errors = 0;
    this.receive(event);
    if (isEnd(event.type)) this.stop();
  }

  /** The browser comes back by itself and goes on where it was; a closed source or too many tries do not. */
  failed() {
    this.errors += 1;
    if (this.source.readyState !== EventSource.CLOSED && this.errors < MAX_ERRORS) return;
    this.source.close();
    this.asking = setInterval(() => this.look(), ASK_EVERY);
  }

  async look() {
    try {
      const generation = await call(`generations/${this.id}/`, { method: "GET" });
      if (!LIVE.includes(generation.status)) this.giveUp();
    } catch (error) {
      if (error.problem) this.giveUp();
    }
  }

  giveUp() {
    this.stop();
    this.lost();
  }

  stop() {
    this.source.close();
    clearInterval(this.asking);
  }
}

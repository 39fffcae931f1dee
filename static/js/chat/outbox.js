/* What was said and is not yet known to have arrived. It survives reloads, crashes and lost networks, and goes
out again under its old id, so that it arrives once. */
import { load, save } from "./stored.js";

export class Outbox {
  constructor(sessionId) {
    this.name = sessionId;
  }

  get entries() {
    return load("outbox", this.name, []);
  }

  find(clientId) {
    return this.entries.find((entry) => entry.clientId === clientId);
  }

  put(entry) {
    save("outbox", this.name, [...this.entries.filter((other) => other.clientId !== entry.clientId), entry]);
  }

  drop(clientId) {
    save("outbox", this.name, this.entries.filter((entry) => entry.clientId !== clientId));
  }
}

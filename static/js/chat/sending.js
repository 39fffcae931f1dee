/* Saying things, and what to do when they are refused. */
import { Refusal, call } from "./api.js";
import { page, say } from "./page.js";
import { showCredits } from "./sheets.js";

const ANSWER_WITHIN = 7000;
const AGAIN_AFTER = 3000;

export class Sending {
  constructor({ connection, thread, composer, outbox, replies, receive, follow }) {
    Object.assign(this, { connection, thread, composer, outbox, replies, receive, follow });
    this.underway = new Map();
    addEventListener("online", () => this.flush());
  }

  send(content) {
    const entry = { clientId: crypto.randomUUID(), content };
    this.outbox.put(entry);
    this.thread.showWaiting(entry.clientId, content);
    this.deliver(entry);
  }

  /** Everything that waits, one at a time and in order. */
  flush() {
    for (const entry of this.outbox.entries) {
      const shown = this.thread.byClientId(entry.clientId);
      if (shown?.dataset.message) this.outbox.drop(entry.clientId);
      else if (!shown) this.thread.showWaiting(entry.clientId, entry.content);
    }
    const [next] = this.outbox.entries;
    if (next && !this.replies.current && !this.underway.has(next.clientId)) this.deliver(next);
  }

  deliver(entry) {
    this.mark(entry, say("sending"));
    const { clientId, content } = entry;
    if (this.connection.send({ type: "message.send", client_id: clientId, content })) {
      // A frame that got lost on the way is sent again over HTTP; the id makes it count once.
      this.underway.set(clientId, setTimeout(() => this.post(entry), ANSWER_WITHIN));
    } else this.post(entry);
  }

  async post(entry) {
    const { clientId, content } = entry;
    clearTimeout(this.underway.get(clientId));
    this.underway.set(clientId, 0);
    try {
      this.accepted(await call(`sessions/${page.session}/messages/`, { body: { client_id: clientId, content } }));
    } catch (error) {
      this.underway.delete(clientId);
      if (error instanceof Refusal) this.refused(error.problem, clientId);
      else this.unreachable(entry);
    }
  }

  /** An answer of 202: the messages, and the reply that is on its way. */
  accepted(answer) {
    if (answer.message?.client_id) this.arrived(answer.message.client_id);
    if (!this.replies.has(answer.generation.id)) {
      for (const message of [answer.message, answer.reply]) if (message) this.receive({ type: "message.created", message });
    }
    this.replies.expect(answer.generation.id, answer.reply?.id);
    this.follow(answer.generation.id);
  }

  arrived(clientId) {
    clearTimeout(this.underway.get(clientId));
    this.underway.delete(clientId);
    this.outbox.drop(clientId);
  }

  unreachable(entry) {
    this.mark(entry, say("waiting"));
    clearTimeout(this.again);
    this.again = setTimeout(() => this.flush(), AGAIN_AFTER);
  }

  mark(entry, text, ...buttons) {
    const element = this.thread.byClientId(entry.clientId);
    if (element && !element.dataset.message) this.thread.note(element, text, ...buttons);
  }

  /** An `error` event or a problem of the API; `clientId` is set where it was about a message. */
  refused(problem, clientId) {
    clearTimeout(this.underway.get(clientId));
    this.underway.delete(clientId);
    const entry = this.outbox.find(clientId);
    if (entry && this.isWorthWaiting(problem)) {
      this.mark(entry, say("waiting"));
      return;
    }
    if (entry && problem.status >= 500) {
      this.mark(entry, problem.detail || say("notSent"), ...this.choices(entry));
      return;
    }
    if (entry) this.takeBack(entry);
    this.explain(problem);
  }

  /** Another reply is in the way, or signing in is: the words keep their place. */
  isWorthWaiting({ status, code }) {
    return (status === 409 && code === "conflict" && Boolean(this.replies.current)) || status === 401;
  }

  takeBack(entry) {
    this.outbox.drop(entry.clientId);
    const shown = this.thread.byClientId(entry.clientId);
    if (!shown?.dataset.message) shown?.remove();
    this.thread.placeDays();
    this.composer.giveBack(entry.content);
  }

  choices(entry) {
    return [
      button(say("sendAgain"), () => this.deliver(entry)),
      button(say("takeBack"), () => this.takeBack(entry)),
    ];
  }

  explain(problem) {
    const isAboutMoney = problem.code === "insufficient_credits" || problem.paused;
    if (isAboutMoney || (problem.code === "limit_reached" && problem.limit)) showCredits(problem);
    else if (problem.status === 429) this.composer.countDown(problem.retry_after ?? 10, problem.detail);
    else if (problem.status === 401) this.composer.tell(`${say("signedOut")} `, signInLink());
    else this.composer.tell(problem.errors?.[0]?.detail || problem.detail || say("failed"));
  }
}

function button(text, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "button button-small";
  element.textContent = text;
  element.addEventListener("click", act);
  return element;
}

export function signInLink() {
  const link = document.createElement("a");
  link.href = `/accounts/login/?next=${encodeURIComponent(location.pathname)}`;
  link.textContent = say("signIn");
  return link;
}

/* The box one writes in. What stands in it is kept for the session, and what was sent is kept until the server has it. */
function read(key, fallback) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? fallback;
  } catch {
    return fallback;
  }
}

function write(key, value) {
  try {
    if (value === null || value.length === 0) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch {
    /* Private windows may refuse; the words are still in the box. */
  }
}

export class Composer extends EventTarget {
  constructor(form, sessionId) {
    super();
    this.form = form;
    this.text = form.querySelector("textarea");
    this.draftKey = `parlor.draft.${sessionId}`;
    this.outboxKey = `parlor.outbox.${sessionId}`;
    if (!this.text.value) this.text.value = read(this.draftKey, "");
    form.addEventListener("submit", (event) => this.submit(event));
    this.text.addEventListener("input", () => this.keep());
    this.text.addEventListener("keydown", (event) => this.key(event));
    this.fit();
  }

  key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.form.requestSubmit(this.form.querySelector("[data-send]"));
    } else if (event.key === "ArrowUp" && !this.text.value) {
      this.dispatchEvent(new Event("editlast"));
    }
  }

  submit(event) {
    event.preventDefault();
    if (event.submitter && "stop" in event.submitter.dataset) {
      this.dispatchEvent(new Event("stop"));
      return;
    }
    const content = this.text.value;
    if (content.trim()) this.dispatchEvent(new CustomEvent("send", { detail: { content, clientId: crypto.randomUUID() } }));
  }

  take() {
    this.text.value = "";
    this.keep();
  }

  /* Give words back that could not be sent; never over newer ones. */
  giveBack(content) {
    this.text.value = this.text.value.trim() ? `${content}\n\n${this.text.value}` : content;
    this.keep();
    this.text.focus();
  }

  keep() {
    write(this.draftKey, this.text.value);
    this.fit();
  }

  fit() {
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight}px`;
  }

  get outbox() {
    return read(this.outboxKey, []);
  }

  post(entry) {
    write(this.outboxKey, [...this.outbox.filter((other) => other.clientId !== entry.clientId), entry]);
  }

  delivered(clientId) {
    write(this.outboxKey, this.outbox.filter((entry) => entry.clientId !== clientId));
  }
}

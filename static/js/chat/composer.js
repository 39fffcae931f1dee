/* The box one writes in. Events: `send` (`detail` is the text), `stop`, `editlast`. */
import { page, say } from "./page.js";
import { forgetOld, load, save } from "./stored.js";

const SAVE_AFTER = 250;
// On a touch keyboard Enter makes a line; the button sends.
const sendsOnEnter = matchMedia("(hover: hover) and (pointer: fine)");

export class Composer extends EventTarget {
  constructor(form, note) {
    super();
    this.form = form;
    this.note = note;
    this.text = form.querySelector("textarea");
    this.sendButton = form.querySelector("[data-send]");
    this.stopButton = form.querySelector("[data-stop]");
    this.isBusy = !this.stopButton.hidden;
    if (!this.text.value) this.text.value = load("draft", page.session, "");
    form.addEventListener("submit", (event) => this.submit(event));
    this.text.addEventListener("input", () => this.changed());
    this.text.addEventListener("keydown", (event) => this.key(event));
    addEventListener("pagehide", () => this.keep());
    document.addEventListener("visibilitychange", () => document.hidden && this.keep());
    forgetOld("draft");
    this.fit();
    this.showButtons();
  }

  key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !event.altKey && (sendsOnEnter.matches || event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.trySend();
    } else if (event.key === "ArrowUp" && !this.text.value) {
      event.preventDefault();
      this.dispatchEvent(new Event("editlast"));
    }
  }

  submit(event) {
    event.preventDefault();
    if (event.submitter === this.stopButton) this.dispatchEvent(new Event("stop"));
    else this.trySend();
  }

  trySend() {
    const content = this.text.value;
    if (!content.trim()) return;
    if (this.isBusy) {
      this.tell(say("waitForReply"));
      return;
    }
    const extra = content.length - page.maxCharacters;
    if (extra > 0) {
      this.tell(say("tooLong", { count: extra }));
      return;
    }
    this.put("");
    this.tell("");
    this.dispatchEvent(new CustomEvent("send", { detail: content }));
  }

  /** While a reply is written the button stops it. */
  busy(isBusy) {
    if (isBusy === this.isBusy) return;
    this.isBusy = isBusy;
    if (!isBusy && this.note.textContent === say("waitForReply")) this.tell("");
    this.showButtons();
  }

  showButtons() {
    const hadFocus = [this.sendButton, this.stopButton].includes(document.activeElement);
    this.sendButton.hidden = this.isBusy;
    this.stopButton.hidden = !this.isBusy;
    if (hadFocus) this.text.focus();
  }

  /** Words that could not be sent come back, never over newer ones. */
  giveBack(content) {
    const newer = this.text.value.trim();
    this.put(newer ? `${content}\n\n${this.text.value}` : content);
    this.text.focus();
  }

  put(value) {
    this.text.value = value;
    this.keep();
    this.fit();
  }

  changed() {
    this.fit();
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.keep(), SAVE_AFTER);
  }

  keep() {
    clearTimeout(this.saving);
    save("draft", page.session, this.text.value);
  }

  /** For browsers that cannot size the field to its text. */
  fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight}px`;
  }

  /** A quiet line under the box; `node` may follow the text. */
  tell(text, ...nodes) {
    clearInterval(this.counting);
    this.note.replaceChildren(text, ...nodes);
  }

  /** Counts the seconds down until something may be sent again. */
  countDown(seconds, before) {
    const end = Date.now() + seconds * 1000;
    const show = () => {
      const left = Math.ceil((end - Date.now()) / 1000);
      if (left > 0) this.note.textContent = `${before} ${say("wait", { seconds: left })}`.trim();
      else this.tell("");
    };
    this.tell("");
    this.counting = setInterval(show, 1000);
    show();
  }
}

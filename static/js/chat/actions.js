/* What can be done with a message. Every button also works without this, as a form. */
import { showToast } from "../site/toasts.js";
import { Refusal, call, fragment } from "./api.js";
import { say } from "./page.js";
import { confirmDelete, showReceipt } from "./sheets.js";

const SHOWN = 1600;

export class Actions {
  constructor(root, { thread, sending, composer, replies }) {
    Object.assign(this, { thread, sending, composer, replies });
    root.addEventListener("click", (event) => {
      const tool = event.target.closest("[data-act]");
      if (!tool || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.act(tool.dataset.act, tool);
    });
    // A finger has no hover: a tap on the words shows what can be done with them.
    root.addEventListener("click", ({ target }) => {
      const message = target.closest(".words")?.closest(".message");
      if (!message || target.closest("a, button, pre") || getSelection().toString()) return;
      for (const other of root.querySelectorAll(".message-touched")) if (other !== message) other.classList.remove("message-touched");
      message.classList.toggle("message-touched");
    });
  }

  async act(name, tool) {
    const message = tool.closest(".message");
    try {
      await this[name.replace("copy-code", "copyCode")](message, tool);
    } catch (error) {
      if (error instanceof Refusal) this.sending.explain(error.problem);
      else this.composer.tell(say(navigator.onLine ? "failed" : "offline"));
    }
  }

  async copy(message, tool) {
    const id = message.dataset.message;
    const source = call(`messages/${id}/`, { method: "GET" }).then(({ content }) => content);
    await put(source, message.querySelector("[data-words]").innerText, tool);
  }

  async copyCode(message, tool) {
    const code = tool.closest(".code-frame").querySelector("code").textContent;
    await put(Promise.resolve(code), code, tool);
  }

  async regenerate(message, tool) {
    await this.ask(tool.getAttribute("formaction").split("/").at(-3), "regenerate", tool);
  }

  async continue(message, tool) {
    await this.ask(message.dataset.message, "continue", tool);
  }

  async ask(id, what, tool, body = {}) {
    if (tool.getAttribute("aria-busy")) return;
    tool.setAttribute("aria-busy", "true");
    try {
      const clientId = crypto.randomUUID();
      this.sending.accepted(await call(`messages/${id}/${what}/`, { body: { client_id: clientId, ...body } }));
    } finally {
      tool.removeAttribute("aria-busy");
    }
  }

  async select(message, tool) {
    const place = message.getBoundingClientRect().top;
    const isNext = tool === tool.parentElement.lastElementChild;
    const news = await fragment(tool.getAttribute("formaction"), { form: {} });
    const number = this.thread.messages.indexOf(message);
    this.thread.reconcile(news);
    // The arrows stay under the finger.
    const other = this.thread.messages[number] ?? this.thread.last;
    this.thread.scroll.setTop(this.thread.scroll.place.scrollTop + other.getBoundingClientRect().top - place);
    const arrows = other.querySelectorAll(".variants button:not([disabled])");
    (isNext ? arrows[arrows.length - 1] : arrows[0])?.focus({ preventScroll: true });
  }

  async rate(message, tool) {
    const rating = tool.getAttribute("aria-pressed") === "true" ? "none" : tool.dataset.rating;
    await call(`messages/${message.dataset.message}/feedback/`, { body: { rating } });
    await this.thread.refresh(message.dataset.message);
    this.thread.find(message.dataset.message)?.querySelector(`[data-rating=${tool.dataset.rating}]`)?.focus({ preventScroll: true });
  }

  async receipt(message, tool) {
    await showReceipt(tool.href);
  }

  async delete(message, tool) {
    if (!(await confirmDelete())) return;
    this.thread.reconcile(await fragment(tool.href, { form: {} }));
    this.composer.text.focus();
  }

  /* --- Rewording --- */

  editLast() {
    const message = this.thread.lastOf("user");
    if (message) this.edit(message);
  }

  async edit(message) {
    if (message.querySelector(".edit-form")) return;
    const { content } = await call(`messages/${message.dataset.message}/`, { method: "GET" });
    const form = editForm(content);
    const said = message.querySelector("[data-words]");
    const close = () => {
      form.remove();
      message.classList.remove("message-editing");
      message.querySelector("[data-act=edit]")?.focus({ preventScroll: true });
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.reword(message, form, close);
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        close();
      } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
    form.querySelector("[type=button]").addEventListener("click", close);
    message.classList.add("message-editing");
    said.after(form);
    const field = form.querySelector("textarea");
    field.focus();
    field.setSelectionRange(content.length, content.length);
    message.scrollIntoView({ block: "nearest" });
  }

  async reword(message, form, close) {
    const content = form.querySelector("textarea").value;
    if (!content.trim()) return;
    try {
      await this.ask(message.dataset.message, "edit", form.querySelector(".button-primary"), { content });
      close();
      this.thread.scroll.toEnd();
    } catch (error) {
      if (error instanceof Refusal) this.sending.explain(error.problem);
      else this.composer.tell(say("failed"));
    }
  }
}

function editForm(content) {
  const form = document.createElement("form");
  form.className = "edit-form";
  const field = document.createElement("textarea");
  field.className = "input";
  field.setAttribute("aria-label", say("editing"));
  field.value = content;
  field.required = true;
  const help = document.createElement("p");
  help.className = "muted small";
  help.textContent = say("editHelp");
  const save = document.createElement("button");
  save.className = "button button-small button-primary";
  save.textContent = say("save");
  const cancel = document.createElement("button");
  cancel.type = "button";
  cancel.className = "button button-small";
  cancel.textContent = say("cancel");
  const row = document.createElement("div");
  row.className = "form-actions";
  row.append(save, cancel);
  form.append(field, help, row);
  return form;
}

/** `source` may still be on its way: the press of the button is what the browser wants to see. */
async function put(source, otherwise, tool) {
  try {
    const blob = source.catch(() => otherwise).then((text) => new Blob([text], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    tool.dataset.done = say("copied");
    setTimeout(() => delete tool.dataset.done, SHOWN);
  } catch {
    showToast(say("copyFailed"), "warning");
  }
}

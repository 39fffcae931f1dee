/* The list of chats: searching while one types, and the menu of each chat. */
import { showToast } from "../site/toasts.js";
import { Refusal, fragment } from "./api.js";
import { page, say } from "./page.js";

const TYPING_PAUSE = 250;
const BLANK = "00000000-0000-0000-0000-000000000000";

export class Sessions {
  constructor() {
    this.search = document.querySelector("[data-session-search]");
    this.addresses = document.getElementById("sessions-act")?.dataset;
    if (!this.list) return;
    this.search?.addEventListener("input", () => this.typed());
    this.search?.addEventListener("submit", (event) => {
      event.preventDefault();
      this.load();
    });
    document.addEventListener("click", (event) => this.clicked(event));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.menu && this.closeMenu(true));
  }

  get list() {
    return document.querySelector("[data-session-list]");
  }

  /** The address of the list as it is filtered now. */
  get address() {
    const query = new URLSearchParams(this.search ? new FormData(this.search) : {});
    if (page.session) query.set("open", page.session);
    return `?${query}`;
  }

  typed() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.load(), TYPING_PAUSE);
  }

  async load() {
    const asked = this.address;
    try {
      const news = await fragment(`/chat/${asked}`);
      // Only the answer to what stands in the field now.
      if (asked === this.address) this.show(news);
    } catch {
      // The list stays as it was; the next key tries again.
    }
  }

  show(news) {
    const list = news.querySelector("[data-session-list]");
    if (list) this.list.replaceWith(list);
  }

  /** The open chat has news: its line is drawn anew and moves to the top of its part. */
  update(row) {
    const old = this.list?.querySelector(`[data-session-row="${row.dataset.sessionRow}"]`);
    if (!old && new FormData(this.search).get("q")) return;
    old?.remove();
    const rows = [...this.list.querySelectorAll("[data-session-row]")];
    const before = "pinned" in row.dataset ? rows[0] : rows.find((other) => !("pinned" in other.dataset));
    if (before) before.before(row);
    else if (rows.length) rows.at(-1).after(row);
    else this.list.replaceChildren(row);
  }

  clicked(event) {
    const opener = event.target.closest("[data-session-menu]");
    const choice = event.target.closest(".session-menu [data-do]");
    const more = event.target.closest("[data-more-chats]");
    if (choice) this.choose(choice);
    else if (more) this.showMore(event, more);
    const wasOpen = opener && this.menu?.previousElementSibling === opener;
    if (!choice) this.closeMenu();
    if (opener && !wasOpen) this.openMenu(opener);
  }

  openMenu(opener) {
    const row = opener.closest("[data-session-row]");
    const menu = document.getElementById("session-menu").content.cloneNode(true).querySelector(".session-menu");
    const hidden = ["pinned" in row.dataset ? "pin" : "unpin", "archived" in row.dataset ? "archive" : "unarchive"];
    for (const name of hidden) menu.querySelector(`[data-do=${name}]`).remove();
    menu.setAttribute("aria-label", row.dataset.title);
    opener.after(menu);
    opener.setAttribute("aria-expanded", "true");
    if (menu.getBoundingClientRect().bottom > innerHeight) menu.classList.add("session-menu-up");
    this.menu = menu;
    menu.querySelector("button").focus();
  }

  closeMenu(withFocus = false) {
    const opener = this.menu?.previousElementSibling;
    opener?.setAttribute("aria-expanded", "false");
    if (withFocus) opener?.focus();
    this.menu?.remove();
    this.menu = undefined;
  }

  choose(choice) {
    const row = choice.closest("[data-session-row]");
    const action = choice.dataset.do;
    this.closeMenu();
    if (action === "rename") this.rename(row);
    else if (action === "delete") this.remove(row);
    else this.change(row, { action });
  }

  async press(address, row, form) {
    try {
      this.show(await fragment(address.replace(BLANK, row.dataset.sessionRow) + this.address, { form }));
      return true;
    } catch (error) {
      const isTold = error instanceof Refusal && error.problem.detail;
      showToast(isTold ? error.problem.detail : say("failed"), "error");
      return false;
    }
  }

  async change(row, form) {
    const isDone = await this.press(this.addresses.change, row, form);
    if (!isDone || form.action !== "archive") return;
    this.offerUndo(say("archived", { title: row.dataset.title }), () => this.change(row, { action: "unarchive" }));
  }

  async remove(row) {
    if (!(await this.press(this.addresses.delete, row, {}))) return;
    const isOpen = row.dataset.sessionRow === page.session;
    if (isOpen) location.assign(`/chat/?deleted=${page.session}`);
    else this.offerUndo(say("deleted", { title: row.dataset.title }), () => this.press(this.addresses.restore, row, {}));
  }

  offerUndo(text, undo) {
    const toast = showToast(text);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button-small";
    button.textContent = say("undo");
    button.addEventListener("click", () => {
      toast.remove();
      undo();
    });
    toast.querySelector("p").after(button);
  }

  rename(row) {
    const title = row.querySelector(".session-title");
    const field = document.createElement("input");
    field.className = "input session-rename";
    field.value = row.dataset.title;
    field.maxLength = 120;
    field.setAttribute("aria-label", say("rename"));
    const link = row.querySelector(".session-link");
    link.after(field);
    link.hidden = true;
    let isOver = false;
    const finish = async (isWanted) => {
      if (isOver) return;
      isOver = true;
      const name = field.value.trim();
      field.remove();
      link.hidden = false;
      if (!isWanted || !name || name === row.dataset.title) return;
      title.textContent = name;
      if (await this.press(this.addresses.change, row, { action: "rename", title: name })) showTitle(row, name);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") finish(true);
      if (event.key === "Escape") finish(false);
      event.stopPropagation();
    });
    field.addEventListener("blur", () => finish(true));
    field.focus();
    field.select();
  }

  async showMore(event, link) {
    event.preventDefault();
    const news = await fragment(link.href).catch(() => null);
    if (news) link.closest("li").replaceWith(...news.querySelector("[data-session-list]").children);
    else location.assign(link.href);
  }
}

function showTitle(row, name) {
  if (row.dataset.sessionRow !== page.session) return;
  for (const place of document.querySelectorAll("[data-title]:not(.session)")) place.textContent = name;
  for (const field of document.querySelectorAll("[data-title-field]")) field.value = name;
}

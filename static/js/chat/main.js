/* The chat page. It starts from a page that works by itself, and adds what is live. */
import { Composer } from "./composer.js";
import { Connection, followByEvents } from "./connection.js";
import { Refusal, partial, post } from "./api.js";
import { Replies } from "./replies.js";
import { Thread } from "./thread.js";

const root = document.querySelector("[data-chat]");
const words = document.querySelector("[data-words-of-page]").dataset;
const sessionId = root.dataset.session;
const state = root.querySelector("[data-state]");
const note = root.querySelector("[data-composer-note]");
const stopButton = root.querySelector("[data-stop]");
const sendButton = root.querySelector("[data-send]");

const thread = new Thread(root, words);
const composer = new Composer(root.querySelector("[data-composer]"), sessionId);
const connection = new Connection(sessionId);
const replies = new Replies(thread, connection, root.querySelector("[data-spoken]"));
const followed = new Set();

function say(text) {
  note.textContent = text;
}

/* --- Events, from wherever they come --- */

function receive(event) {
  if (event.type === "message.created") created(event.message);
  else if (event.type === "error") refused(event, event.client_id);
  else if (event.type === "session.changed") location.reload();
  else replies.receive(event);
}

async function created(message) {
  const isNew = !thread.find(message.id);
  thread.show(message);
  if (message.role !== "user") return;
  composer.delivered(message.client_id);
  say("");
  if (isNew) await thread.refresh(message.id).catch(() => {});
}

connection.addEventListener("event", ({ detail }) => {
  if (detail.type !== "session.ready") {
    receive(detail);
    return;
  }
  state.textContent = "";
  replies.resume(detail.running);
  flush();
});

connection.addEventListener("lost", ({ detail }) => {
  state.textContent = navigator.onLine ? words.connecting : words.offline;
  if (detail.code === 4401) state.textContent = words.signedOut;
});

replies.addEventListener("change", () => {
  const isWriting = Boolean(replies.current);
  stopButton.hidden = !isWriting;
  sendButton.hidden = isWriting;
  state.textContent = isWriting ? words.writing : "";
});

replies.addEventListener("end", async ({ detail }) => {
  if (detail.wallet) showCredits(detail.wallet.available);
  const id = detail.message?.id;
  if (id) await thread.refresh(id).catch(() => {});
  showTitle().catch(() => {});
});

/* A chat gets its name from the first words said in it. */
async function showTitle() {
  const session = await (await fetch(`/api/v1/chat/sessions/${sessionId}/`)).json();
  for (const place of document.querySelectorAll("[data-title], .session-link[aria-current] .session-title")) place.textContent = session.title;
  const preview = document.querySelector(".session-link[aria-current] .session-preview");
  if (preview) preview.textContent = session.last_message_preview;
}

function showCredits(text) {
  for (const place of document.querySelectorAll("[data-credits]")) place.textContent = text;
  const short = Math.floor(Number(text) * 100) / 100;
  for (const place of document.querySelectorAll("[data-header-credits]")) place.textContent = String(short);
}

/* --- Saying something --- */

composer.addEventListener("send", ({ detail }) => {
  composer.post(detail);
  composer.take();
  thread.showWaiting(detail.clientId, detail.content);
  deliver(detail);
});

function deliver({ clientId, content }) {
  if (connection.send({ type: "message.send", client_id: clientId, content })) return;
  ask(`/api/v1/chat/sessions/${sessionId}/messages/`, { client_id: clientId, content }, clientId);
}

/* What was not delivered before a reload, a crash or a lost network goes out again under its old id. */
function flush() {
  for (const entry of composer.outbox) {
    if (!thread.waiting(entry.clientId)) thread.showWaiting(entry.clientId, entry.content);
    deliver(entry);
  }
}

async function ask(path, body, clientId) {
  try {
    const answer = await post(path, body);
    if (answer.message) created(answer.message);
    if (answer.reply) created(answer.reply);
    follow(answer.generation.id);
  } catch (error) {
    if (error instanceof Refusal) refused(error.problem, clientId);
    else if (clientId) say(words.offline);
    else say(words.failed);
  }
}

/* The socket joins by itself; without one the events come over HTTP. */
function follow(generationId) {
  if (connection.isReady || followed.has(generationId)) return;
  followed.add(generationId);
  followByEvents(generationId, receive);
}

function refused(problem, clientId) {
  const entry = composer.outbox.find((other) => other.clientId === clientId);
  if (entry) {
    composer.delivered(clientId);
    thread.waiting(clientId)?.remove();
    composer.giveBack(entry.content);
  }
  if (problem.code === "insufficient_credits") showCreditsSheet(problem);
  else if (problem.code === "rate_limited") say(`${problem.detail} ${problem.retry_after ?? ""}`.trim());
  else say(problem.detail || words.failed);
}

function showCreditsSheet(problem) {
  const sheet = document.getElementById("credits-sheet");
  sheet.querySelector("[data-required]").textContent = problem.required;
  sheet.querySelector("[data-available]").textContent = problem.available;
  sheet.showModal();
}

/* --- Stopping --- */

function stop() {
  const generation = replies.current;
  if (!generation) return;
  if (!connection.send({ type: "generation.stop", generation_id: generation })) post(`/api/v1/chat/generations/${generation}/stop/`).catch(() => say(words.failed));
}

composer.addEventListener("stop", stop);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open], .panel-open") && replies.current) stop();
});

/* --- What one can do with a message --- */

composer.addEventListener("editlast", () => {
  const edit = [...thread.list.querySelectorAll(".message-user .edit")].at(-1);
  if (!edit) return;
  edit.open = true;
  edit.querySelector("textarea").focus();
});

function actionOf(form) {
  return new URL(form.action).pathname.split("/").at(-2);
}

function messageOf(element) {
  return new URL(element.action).pathname.split("/").at(-3);
}

root.addEventListener("submit", async (event) => {
  const form = event.target;
  if ("reply" in form.dataset) {
    event.preventDefault();
    const body = { client_id: crypto.randomUUID() };
    if ("edit" in form.dataset) body.content = form.content.value;
    form.closest("details")?.removeAttribute("open");
    ask(`/api/v1/chat/messages/${messageOf(form)}/${actionOf(form)}/`, body);
  } else if ("rate" in form.dataset) {
    event.preventDefault();
    const id = messageOf(form);
    try {
      await post(`/api/v1/chat/messages/${id}/feedback/`, { rating: actionOf(form) });
      await thread.refresh(id);
      thread.find(id)?.querySelector(`[data-rate=${form.dataset.rate}] button`)?.focus();
    } catch {
      say(words.failed);
    }
  } else if (form.dataset.confirm && !confirm(form.dataset.confirm)) {
    event.preventDefault();
  }
});

root.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-act]");
  if (copy?.dataset.act === "copy") copyText(copy, copy.closest(".message").querySelector("[data-words]").innerText);
  else if (copy?.dataset.act === "copy-code") copyText(copy, copy.previousElementSibling.innerText);
  const older = event.target.closest("[data-older]");
  if (older) {
    event.preventDefault();
    thread.showOlder(older).catch(() => older.removeAttribute("aria-busy"));
  }
  const receipt = event.target.closest("[data-receipt]");
  if (receipt) {
    event.preventDefault();
    showReceipt(receipt.href);
  }
});

async function copyText(button, text) {
  await navigator.clipboard.writeText(text);
  button.dataset.done = words.copied;
  setTimeout(() => delete button.dataset.done, 1500);
}

async function showReceipt(path) {
  const dialog = document.getElementById("receipt");
  try {
    dialog.querySelector("[data-receipt-body]").replaceChildren(...(await partial(path)));
    dialog.showModal();
  } catch {
    say(words.failed);
  }
}

/* --- Earlier messages come by themselves when the reader gets there --- */

new MutationObserver(watchOlder).observe(thread.list, { childList: true });
const nearTop = new IntersectionObserver(
  (entries) => entries.some((entry) => entry.isIntersecting) && root.querySelector("[data-older]:not([aria-busy])")?.click(),
  { root: thread.scroll, rootMargin: "400px 0px 0px" },
);

function watchOlder() {
  nearTop.disconnect();
  const older = root.querySelector("#older");
  if (older && thread.scroll.scrollHeight > thread.scroll.clientHeight) nearTop.observe(older);
}
watchOlder();

/* --- Side panels on small screens --- */

let opener = null;

function closePanels() {
  for (const panel of document.querySelectorAll(".panel-open")) panel.classList.remove("panel-open");
  opener?.setAttribute("aria-expanded", "false");
  opener?.focus();
  opener = null;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-panel]");
  if (button) {
    const panel = document.getElementById(button.dataset.panel);
    const isOpen = panel.classList.contains("panel-open");
    closePanels();
    if (isOpen) return;
    panel.classList.add("panel-open");
    button.setAttribute("aria-expanded", "true");
    opener = button;
    panel.querySelector("a, button, input")?.focus();
  } else if (event.target.closest("[data-panel-close]") || (opener && !event.target.closest(".panel-open"))) {
    closePanels();
  }
});
addEventListener("keydown", (event) => event.key === "Escape" && opener && closePanels());

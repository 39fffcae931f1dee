/* The chat page. It starts from a page that works by itself, and adds what is live. */
import { Actions } from "./actions.js";
import { Announcer } from "./announcer.js";
import { call } from "./api.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { Follower } from "./fallback.js";
import { Outbox } from "./outbox.js";
import { page, say } from "./page.js";
import { Replies } from "./replies.js";
import { Scroll } from "./scroll.js";
import { Sending, signInLink } from "./sending.js";
import { Sessions } from "./sessions.js";
import { Thread } from "./thread.js";

const LOOK_EVERY = 15_000;

const root = document.querySelector("[data-chat]");
const state = root.querySelector("[data-state]");
const scroll = new Scroll(root.querySelector("[data-scroll]"), root.querySelector("[data-messages]"), root.querySelector("[data-new-words]"));
const thread = new Thread(root, scroll);
const composer = new Composer(root.querySelector("[data-composer]"), root.querySelector("[data-composer-note]"));
const announcer = new Announcer(root.querySelector("[data-spoken]"));
const connection = new Connection(page.session);
const replies = new Replies(thread, scroll, announcer, resume);
const outbox = new Outbox(page.session);
const sessions = new Sessions();
const followers = new Map();
const sending = new Sending({ connection, thread, composer, outbox, replies, receive, follow });
const actions = new Actions(root, { thread, sending, composer, replies });
let wasLive = false;

/* --- What the server says, by socket or by HTTP --- */

function receive(event) {
  if (event.type === "message.created") created(event.message);
  else if (event.type === "error") sending.refused(event, event.client_id);
  else if (event.type === "session.ready") ready(event);
  else if (event.type === "session.changed") reload();
  else replies.receive(event);
}

function created(message) {
  if (message.client_id) sending.arrived(message.client_id);
  if (!thread.show(message)) reload();
}

/** The socket is there. What the page believes and what is true may differ after a pause, and a quick reply fits
    between the making of the page and this. */
async function ready({ running, session }) {
  stopFollowing();
  const isStale = wasLive || thread.live.length !== running.length || hasMoved(session);
  wasLive = true;
  if (isStale) await reload();
  for (const id of running) {
    replies.expect(id);
    resume(id, replies.lastSeq(id));
  }
  for (const id of replies.running.keys()) if (!running.includes(id)) resume(id, replies.lastSeq(id));
  composer.busy(Boolean(replies.current));
  sending.flush();
}

function hasMoved(session) {
  const isLater = Date.parse(session.last_message_at) !== Date.parse(page.lastMessageAt);
  return isLater || session.message_count !== page.messageCount;
}

/** Asks for the events of a reply after number `after`. */
function resume(id, after) {
  if (!connection.send({ type: "generation.resume", generation_id: id, after })) follow(id, { isAnew: true });
}

let loading = null;

/** Takes the thread as the server has it; several wishes at once are one. */
function reload() {
  loading ??= thread
    .load()
    .catch(() => {})
    .finally(() => (loading = null));
  return loading;
}

/* --- Without a socket --- */

function follow(id, { isAnew = false } = {}) {
  if (connection.isReady) return;
  if (isAnew) stopFollowing();
  if (followers.has(id)) return;
  const lost = async () => {
    followers.delete(id);
    replies.forget(id);
    await reload();
    sending.flush();
  };
  followers.set(id, new Follower(id, replies.lastSeq(id), receive, lost));
}

function stopFollowing() {
  for (const follower of followers.values()) follower.stop();
  followers.clear();
}

/** Other devices cannot be heard without a socket; looking now and then is enough. */
setInterval(() => {
  if (connection.state === "blocked" && !document.hidden && !replies.current) reload();
}, LOOK_EVERY);

connection.addEventListener("event", ({ detail }) => receive(detail));
connection.addEventListener("state", ({ detail }) => {
  root.dataset.connection = detail;
  const told = { lost: "connecting", offline: "offline", blocked: "slow", gone: "gone", crowded: "tooManyTabs" }[detail];
  state.replaceChildren(told ? say(told) : "");
  if (detail === "signed-out") state.replaceChildren(`${say("signedOut")} `, signInLink());
  if (detail === "lost" || detail === "blocked") for (const id of replies.running.keys()) follow(id);
  if (detail === "blocked") {
    if (page.running) {
      replies.expect(page.running);
      follow(page.running);
    }
    sending.flush();
  }
});

/* --- Replies --- */

replies.addEventListener("change", () => {
  composer.busy(Boolean(replies.current));
  if (connection.isReady) state.textContent = replies.current ? say("writing") : "";
});

replies.addEventListener("astray", async ({ detail: id }) => {
  await reload();
  replies.expect(id);
  resume(id, 0);
});

replies.addEventListener("end", async ({ detail }) => {
  followers.get(detail.generation_id)?.stop();
  followers.delete(detail.generation_id);
  if (detail.wallet) showCreditsLeft(detail.wallet.available);
  await showEnd(detail.message);
  sending.flush();
});

async function showEnd(message) {
  if (!message) return reload();
  try {
    const row = await thread.refresh(message.id);
    scroll.grew(thread.find(message.id));
    if (!row) return;
    sessions.update(row);
    for (const place of root.querySelectorAll("[data-title]")) place.textContent = row.dataset.title;
    const field = document.querySelector("[data-title-field]");
    if (field && field !== document.activeElement) field.value = row.dataset.title;
  } catch {
    // The words are there; how the server draws them comes with the next look.
    thread.note(thread.find(message.id), message.detail);
  }
}

function showCreditsLeft(credits) {
  for (const place of document.querySelectorAll("[data-credits]")) place.textContent = credits;
  const short = Math.floor(Number(credits) * 100 + 1e-6) / 100;
  for (const place of document.querySelectorAll("[data-header-credits]")) place.textContent = String(short);
}

/* --- The reader --- */

function stop() {
  const id = replies.current;
  if (!id || connection.send({ type: "generation.stop", generation_id: id })) return;
  call(`generations/${id}/stop/`).catch(() => composer.tell(say("failed")));
}

function isTyping(element) {
  return element.matches("input, textarea, select, [contenteditable]");
}

const KEYS = {
  "/": () => composer.text.focus(),
  "?": () => document.getElementById("shortcuts").showModal(),
  End: () => scroll.toEnd({ isSmooth: true, isWanted: true }),
};

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  const isFree = !isTyping(event.target) && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (event.key === "Escape" && replies.current && !document.querySelector(":popover-open, .session-menu")) stop();
  else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") focusSearch(event);
  else if (event.altKey && event.code === "KeyR") answerAgain(event);
  else if (isFree && KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

function focusSearch(event) {
  event.preventDefault();
  const side = document.getElementById("chats");
  if (!side.checkVisibility()) openSide(side);
  document.getElementById("session-query").focus();
}

function answerAgain(event) {
  event.preventDefault();
  const tool = thread.lastOf("assistant")?.querySelector(".message-tools [data-act=regenerate]");
  if (tool && !replies.current) actions.act("regenerate", tool);
}

composer.addEventListener("send", ({ detail }) => sending.send(detail));
composer.addEventListener("stop", stop);
composer.addEventListener("editlast", () => actions.editLast());
thread.list.addEventListener("click", (event) => {
  if (!event.target.closest("[data-older]")) return;
  event.preventDefault();
  thread.showOlder();
});

/* --- The columns: folded away on a desk, sheets on a phone --- */

const main = document.getElementById("main");
const wide = { chats: matchMedia("(min-width: 56rem)"), about: matchMedia("(min-width: 80rem)") };

function openSide(side) {
  if (wide[side.id].matches) fold(side.id, false);
  else side.showPopover();
}

function fold(name, isFolded) {
  main.classList.toggle(`folded-${name}`, isFolded);
  document.querySelector(`[data-fold=${name}]`).setAttribute("aria-expanded", String(!isFolded));
  try {
    if (isFolded) localStorage.setItem(`parlor.folded.${name}`, "1");
    else localStorage.removeItem(`parlor.folded.${name}`);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

for (const button of document.querySelectorAll("[data-fold]")) {
  const { fold: name } = button.dataset;
  button.setAttribute("aria-expanded", String(!main.classList.contains(`folded-${name}`)));
  button.addEventListener("click", () => fold(name, !main.classList.contains(`folded-${name}`)));
  wide[name].addEventListener("change", () => document.getElementById(name).matches(":popover-open") && document.getElementById(name).hidePopover());
}

/* --- Above the keyboard of a phone whose browser does not resize the page for it --- */

function fitViewport() {
  const { height, offsetTop } = globalThis.visualViewport;
  const isCovered = innerHeight - height > 80;
  document.documentElement.style.setProperty("--viewport", isCovered ? `${height}px` : "100dvh");
  if (isCovered && offsetTop) scrollTo(0, 0);
}
globalThis.visualViewport?.addEventListener("resize", fitViewport);

connection.open();
if (matchMedia("(hover: hover) and (pointer: fine)").matches) composer.text.focus({ preventScroll: true });
if (page.running) replies.expect(page.running);

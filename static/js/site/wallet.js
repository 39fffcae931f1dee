/* Pages about money: when the server says that the wallet changed, what shows it is asked for anew. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;
const PING_EVERY = 25_000;
const SETTLED_AFTER = 250;
const NOT_SIGNED_IN = 4401;

let socket;
let attempts = 0;
let retry;
let pinging;
let asking;
let isOver = false;

function show(available) {
  const short = Math.floor(Number(available) * 100 + 1e-6) / 100;
  const text = new Intl.NumberFormat(document.documentElement.lang || undefined, { useGrouping: false }).format(short);
  for (const place of document.querySelectorAll("[data-header-credits]")) place.textContent = text;
}

/** Several changes at once, such as a payment and its tier, are one look. */
function askAgain() {
  clearTimeout(asking);
  asking = setTimeout(() => {
    for (const place of document.querySelectorAll("[data-wallet-changes]")) window.htmx?.trigger(place, "wallet-changed");
  }, SETTLED_AFTER);
}

function receive({ data }) {
  const event = JSON.parse(data);
  if (event.type !== "wallet.changed") return;
  show(event.wallet.available);
  askAgain();
}

function opened() {
  // What changed while nobody listened, since the page was made even, is found by looking.
  askAgain();
  attempts = 0;
  clearInterval(pinging);
  pinging = setInterval(() => socket?.readyState === WebSocket.OPEN && socket.send('{"type":"ping"}'), PING_EVERY);
}

function closed({ code }) {
  clearInterval(pinging);
  socket = undefined;
  isOver = code === NOT_SIGNED_IN;
  attempts += 1;
  plan();
}

function plan() {
  clearTimeout(retry);
  if (isOver || document.hidden) return;
  const pause = Math.min(FIRST_PAUSE * 2 ** Math.min(attempts - 1, 6), LONGEST_PAUSE);
  retry = setTimeout(open, pause * (0.5 + Math.random()));
}

function open() {
  clearTimeout(retry);
  if (socket || isOver) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/ws/me/`);
  socket.addEventListener("open", opened);
  socket.addEventListener("message", receive);
  socket.addEventListener("close", closed);
}

document.addEventListener("visibilitychange", () => document.hidden || open());
addEventListener("online", open);
addEventListener("pageshow", (event) => event.persisted && open());
open();

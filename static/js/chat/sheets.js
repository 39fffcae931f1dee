/* Dialogs of the chat page; the markup is the server's. */
import { fragment } from "./api.js";
import { say } from "./page.js";

/** Not enough credits, something owed, a limit reached, or spending paused by its owner. */
export function showCredits(problem) {
  const sheet = document.getElementById("credits-sheet");
  const title = sheet.querySelector("[data-sheet-title]");
  title.dataset.usual ??= title.textContent;
  const isShort = problem.code === "insufficient_credits";
  title.textContent = isShort ? title.dataset.usual : limitReached(problem);
  for (const place of sheet.querySelectorAll("[data-sheet-sums]")) place.hidden = !isShort;
  sheet.querySelector("[data-required]").textContent = problem.required ?? "";
  sheet.querySelector("[data-available]").textContent = problem.available ?? "";
  showWays(sheet, problem);
  if (!sheet.open) sheet.showModal();
}

function limitReached({ limit, own, paused, detail }) {
  return own || paused ? detail : say("limitReached", { limit: limit ?? "" });
}

/** Only what helps: waiting pays no debt, and more credits lift no limit of one's own. */
function showWays(sheet, { code, owed, own, paused, packs = [] }) {
  const [pack] = packs;
  const helps = {
    owed: Boolean(owed),
    paused: Boolean(paused),
    own: Boolean(own),
    wait: !owed && !paused && own !== "message",
    pack: code === "insufficient_credits" && Boolean(pack),
    plan: !owed && !paused && !own,
  };
  for (const way of sheet.querySelectorAll("[data-way]")) way.hidden = !helps[way.dataset.way];
  for (const place of sheet.querySelectorAll("[data-owed]")) place.textContent = owed ?? "";
  if (!pack) return;
  for (const button of sheet.querySelectorAll("[data-pack]")) button.value = pack.slug;
  for (const place of sheet.querySelectorAll("[data-pack-credits]")) place.textContent = pack.credits;
  for (const place of sheet.querySelectorAll("[data-pack-price]")) place.textContent = `${pack.price} ${pack.currency}`;
}

export async function showReceipt(address) {
  const dialog = document.getElementById("receipt");
  dialog.querySelector("[data-receipt-body]").replaceChildren(await fragment(address));
  dialog.showModal();
}

/** Whether the reader says yes. */
export function confirmDelete() {
  const dialog = document.getElementById("confirm-delete");
  return new Promise((resolve) => {
    const yes = dialog.querySelector("[data-confirmed]");
    const confirmed = () => {
      resolve(true);
      dialog.close();
    };
    yes.addEventListener("click", confirmed);
    dialog.addEventListener(
      "close",
      () => {
        yes.removeEventListener("click", confirmed);
        resolve(false);
      },
      { once: true },
    );
    dialog.showModal();
  });
}

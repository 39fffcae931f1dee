/* Dialogs of the chat page; the markup is the server's. */
import { fragment } from "./api.js";
import { say } from "./page.js";

/** Not enough credits, or no messages left today. */
export function showCredits(problem) {
  const sheet = document.getElementById("credits-sheet");
  const title = sheet.querySelector("[data-sheet-title]");
  title.dataset.usual ??= title.textContent;
  const isLimit = problem.code === "limit_reached";
  title.textContent = isLimit ? say("limitReached", { limit: problem.limit ?? "" }) : title.dataset.usual;
  sheet.querySelector("[data-sheet-sums]").hidden = isLimit;
  sheet.querySelector("[data-required]").textContent = problem.required ?? "";
  sheet.querySelector("[data-available]").textContent = problem.available ?? "";
  if (!sheet.open) sheet.showModal();
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

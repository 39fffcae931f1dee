/* A button with data-copy="#id" copies that element's text; data-copied and data-failed say how it went. */
import { showToast } from "./toasts.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.trim());
      showToast(button.dataset.copied, "success");
    } catch {
      showToast(button.dataset.failed, "warning");
    }
  });
}

/* Short words in the corner. They leave by themselves, except errors and while somebody reads them. */
import { icon } from "./icons.js";

const READING_TIME = 7000;
const LEAVING_TIME = 200;
const ICONS = { success: "check", error: "alert", warning: "alert" };

function leave(toast) {
  toast.dataset.leaving = "";
  setTimeout(() => toast.remove(), LEAVING_TIME);
}

function arm(toast, label) {
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button button-quiet button-small";
  close.setAttribute("aria-label", label);
  close.append(icon("close"));
  close.addEventListener("click", () => leave(toast));
  toast.append(close);
  if ("stays" in toast.dataset) return;
  let timer = setTimeout(leave, READING_TIME, toast);
  const hold = () => clearTimeout(timer);
  const release = () => {
    hold();
    timer = setTimeout(leave, READING_TIME / 2, toast);
  };
  toast.addEventListener("pointerenter", hold);
  toast.addEventListener("focusin", hold);
  toast.addEventListener("pointerleave", release);
  toast.addEventListener("focusout", release);
}

function place() {
  return document.querySelector("[data-toasts]");
}

/** Shows `text` (already translated). `kind`: info, success, warning or error. */
export function showToast(text, kind = "info") {
  const toast = document.createElement("div");
  toast.className = `toast toast-${kind}`;
  if (kind === "error") toast.dataset.stays = "";
  const words = document.createElement("p");
  words.textContent = text;
  toast.append(icon(ICONS[kind] ?? "info"), words);
  arm(toast, place().dataset.dismissLabel);
  place().append(toast);
  return toast;
}

export function startToasts() {
  for (const toast of document.querySelectorAll("[data-toast]")) arm(toast, place().dataset.dismissLabel);
  document.addEventListener("htmx:responseError", () => sayHtmxFailed());
  document.addEventListener("htmx:sendError", () => sayHtmxFailed());
}

function sayHtmxFailed() {
  const words = document.querySelector("[data-request-failed]")?.dataset.requestFailed;
  if (words) showToast(words, "error");
}

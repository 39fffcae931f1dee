/* Small comforts of forms; each works without a script too, only less comfortably. */
import { icon } from "./icons.js";

/* A form is sent once, however often its button is pressed. */
function sendOnce(event) {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "true";
  for (const button of form.querySelectorAll("button:not([type=button])")) button.setAttribute("aria-busy", "true");
}

function forgetSent() {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
  }
}

function offerToShow(input, place) {
  const button = document.createElement("button");
  button.type = "button";
  const paint = () => {
    const shown = input.type === "text";
    button.setAttribute("aria-label", shown ? place.dataset.hideLabel : place.dataset.showLabel);
    button.replaceChildren(icon(shown ? "eye-off" : "eye"));
  };
  button.addEventListener("click", () => {
    input.type = input.type === "password" ? "text" : "password";
    paint();
  });
  paint();
  place.classList.add("with-button");
  place.append(button);
}

export function startForms() {
  document.addEventListener("submit", sendOnce);
  addEventListener("pageshow", (event) => event.persisted && forgetSent());
  for (const place of document.querySelectorAll("[data-password]")) {
    const input = place.querySelector("input[type=password]");
    if (input) offerToShow(input, place);
  }
  for (const control of document.querySelectorAll("[data-submit-on-change]")) {
    control.addEventListener("change", () => control.form.requestSubmit());
  }
  document.querySelector("[aria-invalid=true]")?.focus();
}

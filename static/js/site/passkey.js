/* Passkeys and security keys. A form with data-passkey names what to ask the browser for: "create" or "get"
   with options in a JSON script, or "login", whose options come from its address. */
import { showToast } from "./toasts.js";

const decode = (text) => {
  const base64 = text.replace(/-/g, "+").replace(/_/g, "/");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).buffer;
};

const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");

const decodeIds = (list) => (list ?? []).map((item) => ({ ...item, id: decode(item.id) }));

function readOptions({ publicKey }) {
  const options = { ...publicKey, challenge: decode(publicKey.challenge) };
  if (publicKey.user) options.user = { ...publicKey.user, id: decode(publicKey.user.id) };
  if (publicKey.excludeCredentials) options.excludeCredentials = decodeIds(publicKey.excludeCredentials);
  if (publicKey.allowCredentials) options.allowCredentials = decodeIds(publicKey.allowCredentials);
  return { publicKey: options };
}

function writeCredential(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = encode(credential.response[name]);
  }
  if (credential.response.getTransports) response.transports = credential.response.getTransports();
  return JSON.stringify({
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    response,
    clientExtensionResults: credential.getClientExtensionResults(),
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
  });
}

/* A key that shall let in by itself has to keep the account's name and to check who holds it. */
function asPasskey(options, wanted) {
  options.publicKey.authenticatorSelection = {
    ...options.publicKey.authenticatorSelection,
    residentKey: wanted ? "required" : "discouraged",
    requireResidentKey: wanted,
    ...(wanted && { userVerification: "required" }),
  };
  return options;
}

async function ask(form) {
  if (form.dataset.passkey === "login") {
    const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`options: ${answer.status}`);
    return navigator.credentials.get(readOptions((await answer.json()).request_options));
  }
  const data = JSON.parse(document.getElementById("passkey-data").textContent);
  if (form.dataset.passkey === "get") return navigator.credentials.get(readOptions(data.request_options));
  const wanted = form.querySelector("[name=passwordless]")?.checked ?? false;
  return navigator.credentials.create(asPasskey(readOptions(data.creation_options), wanted));
}

for (const form of document.querySelectorAll("[data-passkey]")) {
  if (!window.PublicKeyCredential) {
    form.hidden = form.dataset.passkey === "login";
    continue;
  }
  form.hidden = false;
  form.querySelector("button").disabled = false;
  form.addEventListener("submit", async (event) => {
    const box = form.querySelector("[name=credential]");
    if (box.value) return;
    event.preventDefault();
    if (!form.reportValidity()) return;
    const button = form.querySelector("button");
    button.setAttribute("aria-busy", "true");
    try {
      box.value = writeCredential(await ask(form));
      form.submit();
    } catch (error) {
      button.removeAttribute("aria-busy");
      if (error.name !== "AbortError") showToast(form.dataset.failed, "error");
    }
  });
}

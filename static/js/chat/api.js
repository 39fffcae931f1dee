/* Requests of the chat page: the REST API with the page's own session, and parts of pages as elements. */

/** An answer that is an error, with the fields of its problem+json. */
export class Refusal extends Error {
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

// The only place of these pages where text becomes HTML; what goes in was rendered and cleaned by our server.
const policy = globalThis.trustedTypes?.createPolicy("parlor-fragment", { createHTML: (html) => html });

function csrfToken() {
  // Signing in again in another tab changes the token: the cookie knows the newest.
  const cookie = document.cookie.split("; ").find((part) => part.startsWith("parlor_csrf="));
  return cookie?.split("=")[1] ?? document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
}

async function problemOf(response) {
  const known = response.headers.get("Content-Type")?.includes("json") ? await response.json().catch(() => ({})) : {};
  const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
  return { status: response.status, code: "", detail: "", retry_after: retryAfter, ...known };
}

async function ask(path, options) {
  const response = await fetch(path, { credentials: "same-origin", ...options });
  // A page that asks to sign in instead of what was wanted.
  if (response.redirected) throw new Refusal({ status: 401, code: "not_authenticated", detail: "" });
  if (!response.ok) throw new Refusal(await problemOf(response));
  return response;
}

/** A call of the API. Throws Refusal, and TypeError where there is no network. */
export async function call(path, { method = "POST", body } = {}) {
  const headers = { Accept: "application/json", "X-CSRFToken": csrfToken() };
  if (body) headers["Content-Type"] = "application/json";
  const response = await ask(`/api/v1/chat/${path}`, { method, headers, body: body && JSON.stringify(body) });
  return response.status === 204 ? null : response.json();
}

/** Part of a page as a document fragment; with `form` the form's button is pressed. Throws as `call`. */
export async function fragment(path, { form } = {}) {
  const headers = { "X-Fragment": "1", "X-CSRFToken": csrfToken() };
  const options = form ? { method: "POST", headers, body: new URLSearchParams(form) } : { headers };
  const html = await (await ask(path, options)).text();
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(html) : html;
  return document.importNode(template.content, true);
}

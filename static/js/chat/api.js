/* Requests of the chat page: the REST API with the page's own session, and pieces of HTML from our pages. */
function csrfToken() {
  return document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
}

/* An answer that is an error, with the fields of its problem+json. */
export class Refusal extends Error {
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

export async function post(path, body = {}) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrfToken() },
    body: JSON.stringify(body),
  });
  const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal({ status: response.status, code: "", detail: "", ...answer });
  return answer;
}

/* The elements of a partial page; what is not ours or not there is an error. */
export async function partial(path) {
  const response = await fetch(path, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) throw new Refusal({ status: response.status, code: "", detail: "" });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return [...page.body.children].map((element) => document.importNode(element, true));
}

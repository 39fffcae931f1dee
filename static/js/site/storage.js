/* Files dropped on the storage page go up one by one, each with its own progress. */
import { showToast } from "./toasts.js";

const form = document.querySelector("[data-storage-drop]");
const input = form.querySelector("input[type=file]");
const list = form.querySelector("[data-progress]");

function line(name) {
  const item = document.createElement("li");
  const label = document.createElement("span");
  label.textContent = name;
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", name);
  item.append(label, bar);
  list.append(item);
  return { item, bar };
}

function send(file) {
  const { item, bar } = line(file.name);
  const body = new FormData();
  body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  body.append("file", file);
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = event.loaded / event.total;
    });
    request.addEventListener("loadend", () => {
      const done = request.status === 201;
      if (!done) {
        item.dataset.failed = "";
        showToast(`${file.name}: ${request.response?.faults?.[0]?.detail ?? form.dataset.failed}`, "error");
      }
      resolve(done);
    });
    request.send(body);
  });
}

async function sendAll(files) {
  let all = true;
  for (const file of files) all = (await send(file)) && all;
  input.value = "";
  if (all) location.reload();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  sendAll([...input.files]);
});
for (const name of ["dragover", "dragenter"]) {
  form.addEventListener(name, (event) => {
    event.preventDefault();
    form.dataset.over = "";
  });
}
form.addEventListener("dragleave", () => delete form.dataset.over);
form.addEventListener("drop", (event) => {
  event.preventDefault();
  delete form.dataset.over;
  sendAll([...event.dataTransfer.files]);
});

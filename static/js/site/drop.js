/* A file may be dropped onto `[data-drop]` instead of being chosen with the button inside it. */
for (const place of document.querySelectorAll("[data-drop]")) {
  const input = place.querySelector("input[type=file]");
  const name = place.querySelector("[data-drop-name]");
  const show = () => {
    if (input.files.length) name.textContent = input.files[0].name;
  };
  const over = (event) => {
    event.preventDefault();
    place.dataset.over = "";
  };
  const leave = () => delete place.dataset.over;
  place.addEventListener("dragenter", over);
  place.addEventListener("dragover", over);
  place.addEventListener("dragleave", leave);
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    leave();
    if (event.dataTransfer.files.length) {
      input.files = event.dataTransfer.files;
      show();
    }
  });
  input.addEventListener("change", show);
}

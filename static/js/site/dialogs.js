/* `data-dialog="id"` opens a <dialog>; `data-close` inside it closes; so does a click beside it. */
export function startDialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog);
      if (dialog) {
        event.preventDefault();
        dialog.showModal();
      }
      return;
    }
    if (event.target.closest("dialog [data-close]")) {
      event.preventDefault();
      event.target.closest("dialog").close();
    } else if (event.target.matches("dialog[open]")) {
      event.target.close();
    }
  });
}

/* A pasted or auto-filled code goes off by itself once it is complete. */
const LENGTH = 6;

for (const form of document.querySelectorAll("[data-code-form]")) {
  const box = form.querySelector("[name=code]");
  let sent = false;
  box.addEventListener("input", () => {
    const digits = box.value.replace(/\D/g, "");
    if (digits.length === LENGTH && digits === box.value.replace(/[\s-]/g, "") && !sent) {
      sent = true;
      form.requestSubmit();
    }
  });
}

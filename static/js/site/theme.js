/* Day, dusk, or as the device says; the choice stays in this browser. */
const root = document.documentElement;

function remember(theme) {
  try {
    if (theme) localStorage.setItem("theme", theme);
    else localStorage.removeItem("theme");
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

function apply(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  for (const button of document.querySelectorAll("[data-theme-value]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeValue === theme));
  }
}

export function startTheme() {
  apply(root.dataset.theme ?? "");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-value]");
    if (!button) return;
    remember(button.dataset.themeValue);
    apply(button.dataset.themeValue);
  });
  addEventListener("storage", (event) => {
    if (event.key === "theme") apply(event.newValue ?? "");
  });
}

/* What every page shares. Each part looks for its own attributes and does nothing where there are none. */
import { startDialogs } from "./dialogs.js";
import { startForms } from "./forms.js";
import { startMenus } from "./menus.js";
import { startTheme } from "./theme.js";
import { showLocalTimes } from "./times.js";
import { startToasts } from "./toasts.js";

startTheme();
startMenus();
startToasts();
startDialogs();
startForms();
showLocalTimes(document);

document.addEventListener("htmx:afterSwap", (event) => showLocalTimes(event.detail.elt));

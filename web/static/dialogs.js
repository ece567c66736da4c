// One dialog for whatever is to be confirmed, and the panel beside the pipeline. htmx brings what stands in them.
import { say } from "./toasts.js";

const dialog = document.getElementById("dialog");
let opener = null;

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = document.body.dataset.csrf;
});
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.target?.id === "dialog-body" && !dialog.open) opener = document.activeElement;
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "panel") {
    document.getElementById("panel").hidden = false;
    return;
  }
  if (event.detail.target?.id !== "dialog-body") return;
  if (!dialog.open) {
    dialog.showModal();
    (dialog.querySelector("[data-first]") ?? dialog.querySelector("input:checked, button.main, input, textarea, button"))?.focus();
  }
});
document.addEventListener("htmx:sendError", () => say("The server can't be reached. Nothing was changed."));
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.target?.id !== "dialog-body" && event.detail.target?.id !== "panel") say("The server said no.");
});

// A form that did what it should: the server answers with an event, and nothing to show.
document.body.addEventListener("done", (event) => {
  if (dialog.open) dialog.close();
  say(event.detail.message, event.detail.link);
  refreshPanel();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) { dialog.close(); event.preventDefault(); }
  else if (event.target === dialog) dialog.close();
  if (event.target.closest("[data-close-panel]")) closePanel();
});
dialog.addEventListener("close", () => {
  document.getElementById("dialog-body").replaceChildren();
  if (opener?.isConnected) opener.focus();
  opener = null;
});

export function openDialog(url) {
  opener = document.activeElement;
  htmx.ajax("GET", url, { target: "#dialog-body", swap: "innerHTML" });
}

export function openPanel(url, from) {
  const panel = document.getElementById("panel");
  panel.dataset.url = url;
  panel.dataset.from = from ?? "";
  return htmx.ajax("GET", url, { target: "#panel", swap: "innerHTML" });
}

export function closePanel() {
  const panel = document.getElementById("panel");
  if (!panel || panel.hidden) return false;
  const inside = panel.contains(document.activeElement);
  panel.hidden = true;
  panel.replaceChildren();
  delete panel.dataset.url;
  if (inside) document.querySelector(`#${CSS.escape(panel.dataset.from)} .cover`)?.focus();
  return true;
}

// What the panel shows may have changed: it is asked for again and morphed, not replaced.
let pending = null;
export function refreshPanel() {
  const panel = document.getElementById("panel");
  if (!panel?.dataset.url || pending) return;
  pending = setTimeout(async () => {
    pending = null;
    const url = panel.dataset.url;
    if (!url) return;
    const answer = await fetch(url, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (!answer?.ok || panel.dataset.url !== url) return;
    Idiomorph.morph(panel, await answer.text(), { morphStyle: "innerHTML", callbacks: { beforeAttributeUpdated: (name) => name !== "open" } });
    htmx.process(panel);
  }, 150);
}
document.getElementById("main").addEventListener("towpath:patched", refreshPanel);

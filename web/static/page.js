// What every page does: live parts, dialogs, the palette, keys. Each module finds out itself whether it is needed.
import "./times.js";
import "./dialogs.js";
import { say } from "./toasts.js";
import { begin as live } from "./live.js";
import { begin as pipeline } from "./pipeline.js";
import "./palette.js";

const actions = {
  theme() {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try { localStorage.setItem("towpath-theme", next); } catch { say("This browser keeps no choice of theme for this site."); }
  },
  keys() { document.getElementById("keys").showModal(); },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button && actions[button.dataset.do]) actions[button.dataset.do](button);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "?" && !typing(event)) actions.keys();
});

export function typing(event) {
  return event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")
    || event.target.closest?.("input:not([type=radio]), textarea, select");
}

live();
pipeline();

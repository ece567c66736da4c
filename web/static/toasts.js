// Short words about what was done, in a live region.
const SECONDS = 6;

export function say(message, link) {
  const box = document.getElementById("toasts");
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.textContent = message;
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link;
    anchor.textContent = "Show";
    toast.append(" ", anchor);
  }
  box.append(toast);
  setTimeout(() => toast.remove(), SECONDS * 1000);
}

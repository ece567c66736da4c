// Search: Stages, Warehouses, Freight, pages and commands of the Project, by any part of their names.
const dialog = document.getElementById("palette");
const input = document.getElementById("palette-input");
const list = document.getElementById("palette-list");
const project = document.body.dataset.project;
const MOST = 60;
let entries = [];
let at = 0;

async function open() {
  if (!project || dialog.open) return;
  dialog.showModal();
  input.value = "";
  show();
  const answer = await fetch(`/projects/${encodeURIComponent(project)}/index`).catch(() => null);
  if (answer?.ok) { entries = (await answer.json()).entries; show(); }
}

function show() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = entries.filter((entry) => words.every((word) => `${entry.name} ${entry.kind} ${entry.more}`.toLowerCase().includes(word)));
  const first = words[0] ?? "";
  found.sort((one, other) => Number(other.name.toLowerCase().startsWith(first)) - Number(one.name.toLowerCase().startsWith(first)));
  at = 0;
  list.replaceChildren(...found.slice(0, MOST).map((entry, place) => {
    const item = document.createElement("li");
    item.id = `found-${place}`;
    item.role = "option";
    item.dataset.url = entry.url;
    if (entry.dialog) item.dataset.dialog = "";
    const kind = document.createElement("span");
    kind.textContent = entry.more ? `${entry.kind} · ${entry.more}` : entry.kind;
    item.append(entry.name, kind);
    return item;
  }));
  point(0);
}

function point(place) {
  const items = [...list.children];
  at = Math.min(Math.max(place, 0), items.length - 1);
  items.forEach((item, number) => { item.ariaSelected = String(number === at); });
  items[at]?.scrollIntoView({ block: "nearest" });
  if (items[at]) input.setAttribute("aria-activedescendant", items[at].id); else input.removeAttribute("aria-activedescendant");
}

async function choose(item) {
  if (!item) return;
  dialog.close();
  if ("dialog" in item.dataset) (await import("./dialogs.js")).openDialog(item.dataset.url);
  else location.href = item.dataset.url;
}

input.addEventListener("input", show);
input.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) { point(at + step); event.preventDefault(); }
  else if (event.key === "Escape") { dialog.close(); event.preventDefault(); event.stopPropagation(); }
  else if (event.key === "Enter") { choose(list.children[at]); event.preventDefault(); }
});
list.addEventListener("click", (event) => choose(event.target.closest("li")));
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
document.addEventListener("click", (event) => { if (event.target.closest("[data-do='palette']")) open(); });
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select") || document.querySelector("dialog[open]");
  if ((event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !typing)) {
    event.preventDefault();
    open();
  }
});

// Keeps the page as the server has it: the stream brings the parts that changed, and they are morphed in place, so that
// scroll, focus and what somebody types stay. A lost connection is shown, and comes back by itself.
import { tell } from "./times.js";

const OURS = new Set(["style", "tabindex", "aria-selected", "aria-pressed", "data-where", "open", "hidden"]);
const MARKS = ["dim", "gone", "lit"];
const SILENCE = 20_000;
const PAUSES = [300, 1000, 2000, 5000, 5000, 10_000];

const options = {
  morphStyle: "outerHTML",
  ignoreActiveValue: true,
  callbacks: {
    // What the page itself has set on an element is not the server's to take away.
    beforeAttributeUpdated: (name, element) => !(OURS.has(name) && (element.closest("[data-list], [data-keep]") || name === "style")),
    beforeNodeMorphed: (old) => !(old.matches?.("[data-verdict]")),
  },
};

let source = null;
let tries = 0;
let heard = 0;
let lostAt = null;
let url = "";

export function begin() {
  const main = document.getElementById("main");
  if (!main.dataset.live) return;
  url = main.dataset.live;
  open();
  setInterval(() => { if (source && Date.now() - heard > SILENCE) lose(); }, 2000);
  addEventListener("online", () => { tries = 0; if (!source) open(); });
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) { source = null; open(); } });
}

function open() {
  const main = document.getElementById("main");
  const address = new URL(url, location.href);
  address.searchParams.set("digest", main.dataset.digest);
  const opened = new EventSource(address);
  source = opened;
  heard = Date.now();
  opened.onopen = () => { if (source === opened) heard = Date.now(); };
  opened.addEventListener("beat", () => { found(); });
  opened.addEventListener("patch", (event) => { found(); apply(JSON.parse(event.data)); });
  opened.addEventListener("gone", (event) => { opened.close(); source = null; show(JSON.parse(event.data).message); });
  opened.onerror = () => { if (source === opened) lose(); };
}

function found() {
  heard = Date.now();
  tries = 0;
  lostAt = null;
  document.getElementById("connection").hidden = true;
  document.body.dataset.connected = "yes";
}

function lose() {
  source?.close();
  source = null;
  lostAt ??= new Date();
  show(`Connection lost. This is how it was at ${lostAt.toLocaleTimeString()}; trying again…`);
  setTimeout(() => { if (!source) open(); }, PAUSES[Math.min(tries++, PAUSES.length - 1)]);
}

function show(message) {
  const words = document.getElementById("connection");
  words.hidden = false;
  if (words.textContent !== message) words.textContent = message;
  document.body.dataset.connected = "no";
}

function element(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}

function apply(patch) {
  for (const [list, members] of Object.entries(patch.lists)) arrange(list, members, patch.parts);
  for (const [id, html] of Object.entries(patch.parts)) {
    const present = document.getElementById(id);
    if (!present) continue;
    const marks = MARKS.filter((mark) => present.classList.contains(mark));
    Idiomorph.morph(present, element(html), options);
    document.getElementById(id)?.classList.add(...marks);
  }
  const main = document.getElementById("main");
  main.dataset.digest = patch.digest;
  tell(main);
  if (window.htmx) htmx.process(main);
  main.dispatchEvent(new CustomEvent("towpath:patched", { detail: patch }));
}

// Brings the members of a list in order, makes new ones, takes away those that are gone; the others are not touched.
function arrange(list, members, parts) {
  const box = document.getElementById(list);
  if (!box) return;
  const wanted = new Set(members);
  for (const child of [...box.children]) if (!wanted.has(child.id)) child.remove();
  let next = box.firstElementChild;
  for (const id of members) {
    const present = document.getElementById(id) ?? (parts[id] && element(parts[id]));
    if (!present) continue;
    if (present === next) next = next.nextElementSibling;
    else box.insertBefore(present, next);
  }
}

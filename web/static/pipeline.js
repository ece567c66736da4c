// The pipeline page: the picture, the timeline, the filter, and what a selected piece of Freight means for each Stage.
import { closePanel, openDialog, openPanel } from "./dialogs.js";
import { begin as picture } from "./picture.js";
import { typing } from "./page.js";

const project = document.body.dataset.project;
const base = `/projects/${encodeURIComponent(project)}`;
const stageUrl = (stage, ...rest) => [base, "stages", encodeURIComponent(stage), ...rest].join("/");
const ICONS = { here: "pin", coming: "busy", open: "check", soon: "clock", passed: "check", closed: "hold", foreign: "hold" };
const TONES = { here: "tone-good", coming: "tone-busy", open: "tone-busy", soon: "tone-wait", passed: "tone-good", closed: "tone-idle", foreign: "tone-idle" };

let selected = null;
let asked = 0;
let shown = null;
const tones = new Set();

export function begin() {
  const timeline = document.getElementById("timeline");
  if (!timeline) return;
  const address = new URL(location.href);
  const here = shown = picture();
  if (!address.searchParams.get("view") && matchMedia("(max-width: 760px)").matches && here) return go({ view: "list" });

  timeline.addEventListener("click", (event) => {
    const card = event.target.closest(".freight");
    if (card) { card.focus(); select(selected === card.dataset.freight ? null : card.dataset.freight); }
  });
  timeline.addEventListener("keydown", along);
  document.querySelectorAll("[data-shape]").forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    go({ view: link.dataset.shape });
  }));
  document.querySelector("[data-grouping] select")?.addEventListener("change", (event) => go({ group: event.target.value, open: [] }));
  document.getElementById("filter").addEventListener("input", filter);
  document.getElementById("main").addEventListener("towpath:patched", () => { roving(); filter(); light(); overlay(); });
  document.addEventListener("click", clicked);
  document.addEventListener("keydown", (event) => pressed(event, here));
  roving();
  select(address.searchParams.get("freight"));
}

function go(changes) {
  const address = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    address.searchParams.delete(name);
    for (const one of [value].flat()) if (one) address.searchParams.append(name, one);
  }
  location.replace(address);
}

// Freight

function roving() {
  const cards = [...document.querySelectorAll("#timeline .freight")];
  const current = cards.find((card) => card.dataset.freight === selected) ?? cards[0];
  for (const card of cards) card.tabIndex = card === current ? 0 : -1;
  const covers = [...document.querySelectorAll("#nodes .cover")];
  if (covers.length && !covers.some((cover) => cover.tabIndex === 0)) covers[0].tabIndex = 0;
}

function along(event) {
  const cards = [...document.querySelectorAll("#timeline .freight")];
  const at = cards.indexOf(document.activeElement);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: cards.length - 1 }[event.key];
  if (next !== undefined) {
    cards[Math.min(Math.max(next, 0), cards.length - 1)]?.focus();
    event.preventDefault();
  } else if ((event.key === "Enter" || event.key === " ") && at >= 0) {
    select(selected === cards[at].dataset.freight ? null : cards[at].dataset.freight);
    event.preventDefault();
  }
}

export function select(freight) {
  selected = freight || null;
  const address = new URL(location.href);
  if (selected) address.searchParams.set("freight", selected); else address.searchParams.delete("freight");
  history.replaceState(null, "", address);
  light();
  overlay();
}

function light() {
  for (const card of document.querySelectorAll("#timeline .freight")) card.ariaSelected = String(card.dataset.freight === selected);
}

async function overlay() {
  const turn = ++asked;
  document.getElementById("main").classList.toggle("selecting", Boolean(selected));
  if (!selected) {
    for (const box of document.querySelectorAll("[data-verdict]")) box.hidden = true;
    for (const node of document.querySelectorAll("[data-where]")) delete node.dataset.where;
    return;
  }
  const answer = await fetch(`${base}/freight/${encodeURIComponent(selected)}/reach`).catch(() => null);
  if (turn !== asked) return;
  if (!answer?.ok) { if (answer?.status === 404) select(null); return; }
  const verdicts = (await answer.json()).stages;
  if (turn !== asked) return;
  for (const [stage, verdict] of Object.entries(verdicts)) {
    for (const id of [`stage-${stage}`, `row-${stage}`]) {
      const node = document.getElementById(id);
      if (node) mark(node, verdict, stage);
    }
  }
  for (const group of document.querySelectorAll(".node.group")) {
    const members = group.dataset.members.split(" ").map((name) => verdicts[name]).filter(Boolean);
    const count = members.filter((verdict) => verdict.where === "here").length;
    mark(group, { where: count ? "here" : "foreign", words: `${count} of ${members.length} hold it`, reason: "" });
  }
}

function mark(node, verdict, stage) {
  node.dataset.where = verdict.where;
  const box = node.querySelector("[data-verdict]");
  const key = JSON.stringify(verdict);
  if (!box || (box.dataset.key === key && !box.hidden)) return;
  box.dataset.key = key;
  box.hidden = false;
  box.className = `verdict ${TONES[verdict.where]}`;
  box.title = verdict.reason;
  box.replaceChildren(symbol(ICONS[verdict.where]), `${verdict.words}${verdict.verified && verdict.where !== "passed" ? ", verified" : ""}`);
  if (verdict.reason) {
    const why = document.createElement("span");
    why.className = "why";
    why.textContent = verdict.reason;
    box.append(why);
  }
  if (verdict.where === "open" && stage) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.promote = stage;
    button.textContent = "Promote";
    button.setAttribute("aria-label", `Promote to ${stage}`);
    box.append(button);
  }
}

function symbol(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

// Stages

function promote(stage) {
  openDialog(stageUrl(stage, "promote") + (selected ? `?freight=${encodeURIComponent(selected)}` : ""));
}

function clicked(event) {
  const button = event.target.closest("[data-promote]");
  if (button) { promote(button.dataset.promote); event.preventDefault(); return; }
  const tone = event.target.closest("[data-tone][aria-pressed]");
  if (tone) {
    tones[tones.has(tone.dataset.tone) ? "delete" : "add"](tone.dataset.tone);
    filter();
    return;
  }
  if (event.target.closest("#panel, dialog") || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const unfold = event.target.closest("[data-unfold]");
  if (unfold) {
    event.preventDefault();
    go({ open: [...new URL(location.href).searchParams.getAll("open"), unfold.dataset.unfold] });
    return;
  }
  const of = event.target.closest("#nodes [data-stage], #nodes [data-warehouse], #rows [data-stage]");
  const link = event.target.closest("a");
  if (of && (!link || link.matches(".cover"))) {
    event.preventDefault();
    const kind = of.dataset.stage ? "stages" : "warehouses";
    openPanel(`${base}/${kind}/${encodeURIComponent(of.dataset.stage ?? of.dataset.warehouse)}/panel`, of.id)
      .then(() => {
        shown?.show(of);
        if (event.detail === 0) document.querySelector("#panel button, #panel a")?.focus();
      });
  }
}

function pressed(event, here) {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    if (!closePanel() && selected) select(null);
    return;
  }
  if (typing(event)) return;
  const cover = document.activeElement?.closest?.("#nodes .node, #rows tr");
  const does = {
    f: () => document.querySelector("#timeline .freight[tabindex='0']")?.focus(),
    s: () => (document.querySelector("#nodes .cover[tabindex='0']") ?? document.querySelector("#rows .cover"))?.focus(),
    p: () => {
      const stage = cover?.dataset.stage ?? document.querySelector("#panel [data-panel-stage]")?.dataset.panelStage;
      if (stage) promote(stage);
    },
    g: () => go({ view: "graph" }),
    l: () => go({ view: "list" }),
  }[event.key];
  if (does) { event.preventDefault(); does(); }
  else if (cover?.matches("tr") && ["ArrowDown", "ArrowUp"].includes(event.key)) {
    const rows = [...document.querySelectorAll("#rows tr:not(.gone)")];
    rows[rows.indexOf(cover) + (event.key === "ArrowDown" ? 1 : -1)]?.querySelector(".cover")?.focus();
    event.preventDefault();
  } else here?.pressed(event);
}

// By words, and by state

function filter() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (node) => {
    const name = (node.dataset.stage ?? node.dataset.warehouse ?? node.dataset.members ?? "").toLowerCase();
    const all = `${name} ${node.textContent.toLowerCase()}`;
    return words.every((word) => all.includes(word)) && (!tones.size || tones.has(node.dataset.tone));
  };
  for (const node of document.querySelectorAll("#nodes .node")) node.classList.toggle("dim", !fits(node));
  for (const row of document.querySelectorAll("#rows tr")) row.classList.toggle("gone", !fits(row));
  for (const chip of document.querySelectorAll("#summary [data-tone]")) chip.ariaPressed = String(tones.has(chip.dataset.tone));
}

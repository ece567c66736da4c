// Pan, zoom, and moving by arrow keys in the picture of a pipeline. Where things stand, the server has computed.
const SMALLEST = 0.03;
const LARGEST = 1.6;
const LEGIBLE = 0.4;
const MAP = 0.22;
const FAR = 0.55;
const MID = 0.78;

export function begin() {
  const viewport = document.getElementById("stagehand");
  if (!viewport) return null;
  const canvas = document.getElementById("canvas");
  const key = `towpath-view ${location.pathname}${new URL(location.href).searchParams.get("group") ?? ""}`;
  const at = { x: 0, y: 0, zoom: 1 };
  let chosen = false;

  function place() {
    for (const node of document.getElementById("nodes").children) {
      const { x, y } = node.dataset;
      if (node.style.left !== `${x}px`) node.style.left = `${x}px`;
      if (node.style.top !== `${y}px`) node.style.top = `${y}px`;
    }
    canvas.dataset.placed = "";
  }

  function draw() {
    canvas.style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.zoom})`;
    viewport.style.backgroundPosition = `${at.x}px ${at.y}px`;
    const detail = at.zoom < MAP ? "map" : at.zoom < FAR ? "far" : at.zoom < MID ? "mid" : "near";
    if (viewport.dataset.detail !== detail) viewport.dataset.detail = detail;
  }

  function remember() {
    chosen = true;
    try { sessionStorage.setItem(key, JSON.stringify(at)); } catch { /* storage may be forbidden: the view is not kept */ }
  }

  function size() {
    const { width, height } = document.getElementById("wires").dataset;
    return { width: Number(width), height: Number(height) };
  }

  // At the beginning names can be read, though not everything may be seen.
  function fit(least = LEGIBLE) {
    const { width, height } = size();
    const box = viewport.getBoundingClientRect();
    at.zoom = Math.min(Math.max(Math.min(box.width / width, box.height / height), least), 1);
    at.x = Math.max((box.width - width * at.zoom) / 2, 0);
    at.y = Math.max((box.height - height * at.zoom) / 2, 0);
    draw();
  }

  function zoom(factor, x = viewport.clientWidth / 2, y = viewport.clientHeight / 2) {
    const next = Math.min(Math.max(at.zoom * factor, SMALLEST), LARGEST);
    at.x = x - (x - at.x) * (next / at.zoom);
    at.y = y - (y - at.y) * (next / at.zoom);
    at.zoom = next;
    draw();
    remember();
  }

  function show(node) {
    const box = viewport.getBoundingClientRect();
    const rect = node.getBoundingClientRect();
    const margin = 24;
    let dx = 0, dy = 0;
    if (rect.left < box.left + margin) dx = box.left + margin - rect.left;
    else if (rect.right > box.right - margin) dx = box.right - margin - rect.right;
    if (rect.top < box.top + margin) dy = box.top + margin - rect.top;
    else if (rect.bottom > box.bottom - margin) dy = box.bottom - margin - rect.bottom;
    if (dx || dy) { at.x += dx; at.y += dy; draw(); remember(); }
  }

  // Fingers and mice

  const pointers = new Map();
  let moved = 0;
  viewport.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("button")) return;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved = 0;
  });
  viewport.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const others = [...pointers.entries()].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const box = viewport.getBoundingClientRect();
    if (others.length) {
      const other = others[0];
      const before = Math.hypot(last.x - other.x, last.y - other.y);
      const after = Math.hypot(event.clientX - other.x, event.clientY - other.y);
      if (before > 0) zoom(after / before, (event.clientX + other.x) / 2 - box.left, (event.clientY + other.y) / 2 - box.top);
    } else {
      moved += Math.abs(event.clientX - last.x) + Math.abs(event.clientY - last.y);
      if (moved > 4) {
        at.x += event.clientX - last.x;
        at.y += event.clientY - last.y;
        if (!viewport.classList.contains("dragging")) {
          viewport.classList.add("dragging");
          viewport.setPointerCapture(event.pointerId);
        }
        draw();
      }
    }
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  const end = (event) => {
    pointers.delete(event.pointerId);
    if (viewport.classList.contains("dragging")) remember();
    viewport.classList.remove("dragging");
  };
  viewport.addEventListener("pointerup", end);
  viewport.addEventListener("pointercancel", end);
  viewport.addEventListener("click", (event) => { if (moved > 4) { event.stopPropagation(); event.preventDefault(); } moved = 0; }, true);
  viewport.addEventListener("dragstart", (event) => event.preventDefault());
  viewport.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = viewport.getBoundingClientRect();
    if (event.ctrlKey || !event.shiftKey && Math.abs(event.deltaY) >= 40 && !event.deltaX) {
      zoom(Math.exp(-Math.max(Math.min(event.deltaY, 200), -200) / (event.ctrlKey ? 120 : 500)), event.clientX - box.left, event.clientY - box.top);
    } else {
      at.x -= event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
      at.y -= event.shiftKey ? 0 : event.deltaY;
      draw();
      remember();
    }
  }, { passive: false });
  document.addEventListener("click", (event) => {
    const what = event.target.closest("[data-do]")?.dataset.do;
    if (what === "zoom-in") zoom(1.25);
    else if (what === "zoom-out") zoom(0.8);
    else if (what === "zoom-fit") { fit(SMALLEST); remember(); }
  });

  // Which wires belong to what is looked at

  function wires(node) {
    for (const path of document.querySelectorAll("#wires path")) {
      path.classList.toggle("lit", Boolean(node) && (path.dataset.from === node || path.dataset.to === node));
    }
  }
  const nodes = document.getElementById("nodes");
  nodes.addEventListener("pointerover", (event) => wires(event.target.closest(".node")?.dataset.node));
  nodes.addEventListener("pointerleave", () => wires(document.activeElement?.closest?.(".node")?.dataset.node));
  nodes.addEventListener("focusin", (event) => {
    const node = event.target.closest(".node");
    for (const cover of nodes.querySelectorAll(".cover[tabindex='0']")) cover.tabIndex = -1;
    node.querySelector(".cover").tabIndex = 0;
    // The browser may have scrolled the box to what got the focus: the picture moves instead.
    viewport.scrollTo(0, 0);
    show(node);
    wires(node.dataset.node);
  });
  viewport.addEventListener("scroll", () => viewport.scrollTo(0, 0));

  // Where an arrow leads: the nearest node that lies mostly in that direction

  function towards(from, dx, dy) {
    const centre = (node) => [Number(node.dataset.x) + node.offsetWidth / 2, Number(node.dataset.y) + node.offsetHeight / 2];
    const [x, y] = centre(from);
    let best = null, least = Infinity;
    for (const node of nodes.children) {
      const [otherX, otherY] = centre(node);
      const forward = (otherX - x) * dx + (otherY - y) * dy;
      const aside = Math.abs((otherX - x) * dy) + Math.abs((otherY - y) * dx);
      if (node === from || forward < 8 || aside > forward * 2.5 + 40) continue;
      const distance = forward + aside * 2;
      if (distance < least) [best, least] = [node, distance];
    }
    return best;
  }

  function pressed(event) {
    const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const from = document.activeElement?.closest?.("#nodes .node");
    if (directions[event.key] && from) {
      towards(from, ...directions[event.key])?.querySelector(".cover").focus({ preventScroll: true });
      event.preventDefault();
    } else if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === "0") { fit(SMALLEST); remember(); }
  }

  document.getElementById("main").addEventListener("towpath:patched", () => { place(); if (!chosen) fit(); });
  addEventListener("resize", () => { if (!chosen) fit(); });
  place();
  try {
    const kept = JSON.parse(sessionStorage.getItem(key) ?? "null");
    if (kept) { Object.assign(at, kept); chosen = true; }
  } catch { /* nothing is kept */ }
  if (chosen) draw(); else fit();
  return { pressed, show };
}

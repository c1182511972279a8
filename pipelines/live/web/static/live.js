"use strict";
// State is what the server says: /api/state once, then its stream of notices. Everything is drawn from it.
const $ = (id) => document.getElementById(id);
const HOUR = 3600, COLOURS = 8, TILE_EVERY = 150, SVG = "http://www.w3.org/2000/svg";
const book = { stays: new Map(), names: new Map(), health: new Map(), gaps: [], key: "0-0", writable: false };
const tiles = new Map();
let skew = 0, source = null, drawAsked = false;

if (location.search) history.replaceState(null, "", "/"); // the token does not stay in the address

const now = () => Date.now() / 1000 + skew;
const label = (p) => p == null ? "Somebody" : book.names.get(p) || `Person ${p}`;
const colour = (p) => p == null ? "n" : (p - 1) % COLOURS;
const clock = (t) => new Date(t * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const span = (s) => s < 60 ? `${Math.max(0, Math.floor(s))} s` : s < 3600 ? `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s` : `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
const el = (name, attributes = {}, ...children) => {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) if (k === "class") e.className = v; else if (k.startsWith("on")) e.addEventListener(k.slice(2), v); else e.setAttribute(k, v);
  e.append(...children);
  return e;
};
const svg = (name, attributes = {}) => {
  const e = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
};

async function begin() {
  try {
    const answer = await fetch("/api/state");
    if (answer.status === 401) return told("lost", "signed out: open the printed address again");
    const state = await answer.json();
    skew = state.now - Date.now() / 1000;
    book.stays = new Map(state.stays.map((s) => [s.id, s]));
    book.names = new Map(Object.entries(state.names).map(([p, n]) => [Number(p), n]));
    book.health = new Map(state.health.map((h) => [h.camera, h]));
    $("news").replaceChildren(); state.news.forEach(tell);
    book.gaps = state.gaps; book.key = state.key; book.writable = state.writable; book.recording = state.sinks.some((s) => s.name === "record");
    state.cameras.forEach(tile);
    drawSinks(state.sinks);
    listen();
    ask();
  } catch { told("lost", "no connection, trying again"); setTimeout(begin, 2000); }
}

function listen() {
  source?.close();
  source = new EventSource(`/events?after=${book.key}`);
  source.onopen = () => told("live", "live");
  source.onerror = () => { told("lost", "connection lost, trying again"); if (source.readyState === EventSource.CLOSED) setTimeout(begin, 2000); };
  for (const type of ["begin", "enter", "update", "replace", "exit", "unknown", "retract", "named", "gap"])
    source.addEventListener(type, (e) => { book.key = e.lastEventId; apply(JSON.parse(e.data)); });
  source.addEventListener("health", (e) => { const h = JSON.parse(e.data); book.health.set(h.camera, h); tile(h.camera); ask(); });
  source.addEventListener("truncated", begin);
}

function apply(n) {
  if (n.type === "begin") for (const s of book.stays.values()) if (s.end == null) s.end = s.seen;
  if (n.type === "named") { if (n.name) book.names.set(n.person, n.name); else book.names.delete(n.person); }
  else if (n.type === "gap") book.gaps.push(n);
  else if (n.type === "retract") book.stays.delete(n.id);
  else if (n.id) { book.stays.set(n.id, n); if (n.name) book.names.set(n.person, n.name); }
  tell(n);
  ask();
}

function tell(n) {
  const who = el("b", {}, label(n.person));
  const words = { enter: [who, ` came, ${n.camera}`], exit: [who, ` left, ${n.camera}`], unknown: [el("b", {}, `Person ${n.person}`), " has no name yet"],
    replace: [who, `, not ${label(n.was)}`], retract: [who, n.into ? " counted once" : " taken back"],
    named: [`Person ${n.person} is `, el("b", {}, n.name || "nobody by name")], gap: [`${n.camera} saw nothing for ${span(n.end - n.start)}`] }[n.type];
  if (!words) return;
  $("nonews").hidden = true;
  $("news").prepend(el("li", {}, el("time", {}, clock(n.at)), el("span", {}, ...words)));
  while ($("news").children.length > 40) $("news").lastChild.remove();
}

const told = (state, text) => { $("line").className = `line ${state}`; $("linetext").textContent = text; };
const ask = () => { if (!drawAsked) { drawAsked = true; requestAnimationFrame(() => { drawAsked = false; draw(); }); } };

function draw() {
  const time = now(), stays = [...book.stays.values()].filter((s) => s.end == null || s.end > time - HOUR);
  const here = stays.filter((s) => s.end == null).sort((a, b) => a.start - b.start);
  drawHere(here, time);
  drawHour(stays, time);
  drawHealth(time);
  for (const t of tiles.values()) if (t.about) boxes(t, t.about); // a name may have changed
  const live = [...book.health.values()].filter((h) => h.state === "live").length, people = new Set(here.map((s) => s.person)).size;
  $("lead").textContent = `${people === 1 ? "1 person" : `${people} people`} in view · ${live} of ${tiles.size} ${tiles.size === 1 ? "camera" : "cameras"} live · ${clock(time)}`;
}

function drawHere(here, time) {
  $("nobody").hidden = here.length > 0;
  const list = $("here"), old = new Map([...list.children].map((li) => [li.dataset.stay, li]));
  here.forEach((s, at) => {
    const li = old.get(s.id) ?? card(s.id);
    old.delete(s.id);
    const c = `c${colour(s.person)}`;
    if (li.className !== c) li.className = c;
    li.querySelector(".name").textContent = label(s.person);
    const where = li.querySelector(".where");
    where.textContent = `${s.camera} · ${span(time - s.start)}${s.unknown ? " · no name yet" : ""}`;
    where.classList.toggle("stranger", s.unknown);
    li.querySelector(".keep").hidden = !book.recording;
    const button = li.querySelector(".ask");
    button.hidden = !book.writable || s.person == null;
    button.textContent = book.names.get(s.person) ? "Rename" : "Who?";
    button.setAttribute("aria-label", `Name ${label(s.person)}`);
    if (list.children[at] !== li) list.insertBefore(li, list.children[at] ?? null);
  });
  for (const li of old.values()) li.remove();
}

function card(id) {
  const img = el("img", { alt: "", src: `/api/face/${id}` });
  img.addEventListener("error", () => { img.classList.add("none"); setTimeout(() => { img.src = `/api/face/${id}?${Date.now()}`; }, 1500); });
  img.addEventListener("load", () => img.classList.remove("none"));
  const li = el("li", {}, img, el("div", { class: "about" }, el("span", { class: "name" }), el("span", { class: "where" })),
    el("div", { class: "acts" },
      el("button", { type: "button", class: "ask", onclick: () => name(book.stays.get(id)?.person, id) }),
      el("button", { type: "button", class: "keep", title: "Keep the recording of this", onclick: async (e) => { const b = e.currentTarget; if (await decide("keep", { stay: id })) { b.textContent = "Kept"; b.disabled = true; } } }, "Keep")));
  li.dataset.stay = id;
  return li;
}

function drawHour(stays, time) {
  if ($("hour").querySelector("rect:hover")) return; // its title is being read
  const oldest = Math.min(time, ...stays.map((s) => s.start), ...book.gaps.map((g) => g.start));
  const width = Math.min(HOUR, Math.max(300, 60 * Math.ceil((time - oldest) / 60))), begin = time - width, rows = new Map();
  $("hourhead").textContent = width === HOUR ? "The last hour" : `The last ${width / 60} minutes`;
  for (const s of stays) if (s.person != null) rows.set(s.person, [...(rows.get(s.person) ?? []), s]);
  const lasts = (list) => Math.max(...list.map((s) => s.end ?? time));
  const ordered = [...rows].sort((a, b) => lasts(b[1]) - lasts(a[1]) || a[0] - b[0]).slice(0, 60);
  const step = width > 1800 ? 600 : width > 900 ? 300 : 60, marks = [];
  for (let t = Math.ceil(begin / step) * step; t < time; t += step) marks.push(t);
  const lane = (bars, words) => {
    const s = svg("svg", { viewBox: `0 0 ${width} 34`, preserveAspectRatio: "none", role: "img", "aria-label": words });
    for (const t of marks) s.append(svg("line", { x1: t - begin, x2: t - begin, y1: 0, y2: 34 }));
    s.append(...bars);
    return s;
  };
  const bar = (a, b, kind, title) => {
    const r = svg("rect", { x: Math.max(0, a - begin), width: Math.max(width / 700, b - Math.max(a, begin)), y: 8, height: 18, class: kind }), t = svg("title");
    t.textContent = title; r.append(t);
    return r;
  };
  const out = ordered.map(([person, list]) => {
    const seconds = list.reduce((sum, s) => sum + (s.end ?? time) - Math.max(s.start, begin), 0);
    const bars = list.map((s) => bar(s.start, s.end ?? time, s.state === "final" ? "" : "soft", `${label(person)}, ${s.camera}, ${clock(s.start)} to ${s.end == null ? "now" : clock(s.end)}`));
    const newest = list.reduce((a, b) => (b.end ?? time) > (a.end ?? time) ? b : a);
    const words = `In view ${list.length === 1 ? "once" : `${list.length} times`}, last ${clock(newest.start)} to ${newest.end == null ? "now" : clock(newest.end)}, ${newest.camera}`;
    return el("div", { class: `row c${colour(person)}` }, el("div", { class: "who" }, el("i"), el("span", {}, label(person)), el("span", { class: "sum" }, span(seconds))), el("div", { class: "lane" }, lane(bars, words)));
  });
  const gaps = book.gaps.filter((g) => g.end > begin);
  for (const camera of new Set(gaps.map((g) => g.camera))) {
    const bars = gaps.filter((g) => g.camera === camera).map((g) => bar(g.start, g.end, "notseen", `${camera} saw nothing, ${clock(g.start)} to ${clock(g.end)}: ${g.reason}`));
    const s = lane(bars, `Saw nothing ${bars.length === 1 ? "once" : `${bars.length} times`}`), hatch = svg("pattern", { id: "hatch", width: 12, height: 6, patternUnits: "userSpaceOnUse" });
    hatch.append(svg("path", { d: "M0 6L12 0", stroke: "#a49c8e", "stroke-width": 2 })); s.prepend(hatch);
    out.push(el("div", { class: "row cn" }, el("div", { class: "who" }, el("span", {}, camera)), el("div", { class: "lane" }, s)));
  }
  const axis = el("div", { class: "lane" });
  for (const t of marks) { const m = el("span", {}, clock(t).slice(0, 5)); m.style.left = `${100 * (t - begin) / width}%`; axis.append(m); }
  const box = $("hour");
  if (!out.length) box.replaceChildren(el("p", { class: "empty" }, "Nobody has been seen in the last hour."));
  else box.replaceChildren(el("div", { class: "row axis" }, el("div", { class: "who" }), axis), ...out);
}

function drawHealth(time) {
  $("health").replaceChildren(...[...book.health.values()].sort((a, b) => a.camera.localeCompare(b.camera)).map((h) => el("tr", {},
    el("td", {}, h.camera), el("td", {}, el("span", { class: `dot ${h.state}` }), h.state), el("td", { class: "r" }, span(time - h.since)),
    el("td", { class: "r" }, h.fps.toFixed(1)), el("td", { class: "r" }, h.state === "live" ? `${Math.round(h.frame_age * 1000)} ms` : "–"), el("td", { class: "r" }, h.read.toLocaleString()),
    el("td", { class: "r" }, h.processed.toLocaleString()), el("td", { class: "r" }, h.dropped.toLocaleString()), el("td", { class: "r" }, String(h.reconnects)), el("td", { class: "remark" }, h.message))));
  for (const [camera, t] of tiles) {
    const h = book.health.get(camera);
    t.dot.className = `dot ${h?.state ?? "connecting"}`;
    t.figures.textContent = !h ? "" : h.state === "live" ? `${h.fps.toFixed(0)} fps · ${Math.round(h.frame_age * 1000)} ms` : `${h.state} for ${span(time - h.since)}`;
    t.over.toggleAttribute("hidden", Boolean(h) && h.state !== "live"); // nobody knows where those faces are now
    t.veil.hidden = !h || h.state === "live";
    t.veil.textContent = h ? `${h.state}${h.message ? `: ${h.message}` : ""}` : "";
  }
}

function drawSinks(sinks) {
  const told = (s) => s.name === "record" ? `recordings: ${s.sent} clips, ${s.waiting} being written, ${s.lost} frames left out`
    : `${s.name}: ${s.sent} sent, ${s.waiting} waiting, ${s.lost} lost`;
  $("sinks").replaceChildren(...sinks.map((s) => el("p", s.problem ? { class: "problem" } : {}, `${told(s)}${s.problem ? ` (${s.problem})` : ""}`)));
}

// ---- tiles
function tile(camera) {
  if (tiles.has(camera)) return;
  const canvas = el("canvas", { width: 16, height: 9, role: "img", "aria-label": `Picture of ${camera}` }), over = svg("svg", { preserveAspectRatio: "xMidYMid meet" });
  const veil = el("div", { class: "veil" }), dot = el("span", { class: "dot connecting" }), figures = el("span", { class: "figures" });
  veil.textContent = "connecting"; 
  const figure = el("figure", { class: "tile" }, el("div", { class: "view" }, canvas, over, veil), el("figcaption", {}, dot, el("strong", {}, camera), figures));
  const t = { canvas, over, veil, dot, figures, number: 0, faces: new Map() };
  tiles.set(camera, t);
  const after = [...tiles.keys()].sort(), next = after[after.indexOf(camera) + 1];
  $("cameras").insertBefore(figure, next && tiles.get(next).figure ? tiles.get(next).figure : null);
  t.figure = figure;
  $("cameras").classList.toggle("many", tiles.size > 4);
  watch(camera, t);
}

async function watch(camera, t) {
  let pause = TILE_EVERY;
  if (!document.hidden) {
    try {
      const answer = await fetch(`/api/frame/${encodeURIComponent(camera)}?after=${t.number}`);
      if (answer.status === 200) {
        const about = JSON.parse(answer.headers.get("Whowhen-Frame")), picture = await createImageBitmap(await answer.blob());
        t.canvas.width = picture.width; t.canvas.height = picture.height;
        t.canvas.getContext("2d").drawImage(picture, 0, 0);
        picture.close();
        t.number = about.number;
        t.about = about;
        boxes(t, about);
      } else if (answer.status !== 204) pause = 2000;
    } catch { pause = 2000; }
  }
  setTimeout(() => watch(camera, t), pause);
}

function boxes(t, about) {
  t.over.setAttribute("viewBox", `0 0 ${about.width} ${about.height}`);
  // 13 pixels of the screen at least, however small the tile
  const pixel = Math.max(about.width / (t.over.clientWidth || about.width), about.height / (t.over.clientHeight || about.height));
  const size = Math.max(about.width / 42, 13 * pixel), old = t.faces;
  t.faces = new Map();
  for (const f of about.faces) {
    const key = f.stay || f.box.join(), person = book.stays.get(f.stay)?.person ?? f.person, text = person == null ? "…" : label(person), [x1, y1, x2, y2] = f.box;
    const g = old.get(key) ?? face(f);
    old.delete(key); t.faces.set(key, g);
    const nameable = person != null && book.writable;
    g.setAttribute("aria-label", nameable ? `Name ${text}` : text); g.dataset.person = person ?? "";
    g.setAttribute("role", nameable ? "button" : "img");
    if (nameable) g.setAttribute("tabindex", 0); else g.removeAttribute("tabindex");
    const [hit, box, chip, words] = g.children, w = text.length * size * .61 + size, h = size * 1.5;
    const x = Math.min(Math.max(0, x1), Math.max(0, about.width - w)), y = y1 > h + 2 ? y1 - h - 2 : Math.min(y2 + 2, about.height - h);
    for (const r of [hit, box]) { r.setAttribute("x", x1); r.setAttribute("y", y1); r.setAttribute("width", Math.max(0, x2 - x1)); r.setAttribute("height", Math.max(0, y2 - y1)); }
    box.setAttribute("class", `box k${colour(person)}`); chip.setAttribute("class", `chip k${colour(person)}`);
    chip.setAttribute("x", x); chip.setAttribute("y", y); chip.setAttribute("width", w); chip.setAttribute("height", h); chip.setAttribute("rx", h / 4);
    words.setAttribute("x", x + size / 2); words.setAttribute("y", y + h / 2); words.setAttribute("font-size", size); words.textContent = text;
    t.over.append(g);
  }
  for (const g of old.values()) g.remove();
}

function face(f) {
  const g = svg("g", { class: "face" });
  g.append(svg("rect", { class: "hit" }), svg("rect", { class: "box" }), svg("rect", { class: "chip" }), svg("text"));
  const open = () => { if (g.dataset.person) name(Number(g.dataset.person), f.stay); };
  g.addEventListener("click", open);
  g.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); open(); } });
  return g;
}

// ---- naming
let asked = null;
function name(person, stay) {
  if (person == null || !book.writable || $("who").open) return;
  asked = person;
  $("whoface").src = `/api/face/${stay}`;
  $("whohint").textContent = book.names.get(person) ? `Called ${book.names.get(person)} so far.` : `Known as Person ${person} until now. The name of somebody known says it is them.`;
  $("whoname").value = book.names.get(person) ?? "";
  $("known").replaceChildren(...[...new Set(book.names.values())].sort().map((n) => el("option", { value: n })));
  $("who").showModal();
  $("whoname").select();
}
$("whocancel").addEventListener("click", () => $("who").close());
$("whoform").addEventListener("submit", async (e) => {
  e.preventDefault();
  $("who").close();
  const text = $("whoname").value.trim();
  const done = await decide("name", { person: asked, name: text });
  if (done) say(text ? `Saved: ${text}.` : "The name is taken away.", true);
});
$("undo").addEventListener("click", async () => { $("toast").hidden = true; if (await decide("undo", {})) say("Taken back.", false); });

async function decide(what, arguments_) {
  try {
    const answer = await fetch(`/api/decide/${what}`, { method: "POST", headers: { "Content-Type": "application/json", "X-Whowhen": "1" }, body: JSON.stringify(arguments_) });
    if (answer.ok) return true;
    const type = answer.headers.get("Content-Type") ?? "";
    say(type.includes("json") ? (await answer.json()).error : (await answer.text()).trim(), false);
  } catch { say("No connection: nothing was saved.", false); }
  return false;
}
let fading = 0;
function say(text, undo) {
  $("toasttext").textContent = text; $("undo").hidden = !undo; $("toast").hidden = false;
  clearTimeout(fading); fading = setTimeout(() => { $("toast").hidden = true; }, 8000);
}

setInterval(ask, 1000);
setInterval(async () => { try { drawSinks((await (await fetch("/api/state")).json()).sinks); } catch { /* told by the stream */ } }, 10000);
begin();

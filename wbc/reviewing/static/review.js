"use strict";
// What the server holds is asked for page by page; what a reviewer decides is shown once the server has kept it.

const by = (id) => document.getElementById(id);
const PAGE = window.matchMedia("(max-width: 40rem)").matches ? 30 : 60;
const narrow = window.matchMedia("(max-width: 60rem)");
const NAME = /^[\p{L}\p{N}_](?:[\p{L}\p{N}_ .'-]{0,58}[\p{L}\p{N}_.])?$/u;

let session; // what stays the same
let reviewer = "";
let page = { total: 0, first: 0, cells: [] };
let tiles = new Map(); // cell -> its element
let known = new Map(); // cell -> what is known of it, on the page or in a photograph
let current = null; // the cell in question
let chosen = new Set();
let anchor = null; // where a range begins
let busy = false;
let asked = 0; // of answers that come late the last counts

function make(kind, className, text) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const number = (value) => value.toLocaleString("en");
const percent = (value, digits = 1) => `${(100 * value).toFixed(digits)}\u00a0%`;

// The server.

async function call(address, body) {
  let answer;
  try {
    answer = await fetch(address, body === undefined ? {} : {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The server does not answer: nothing was kept. Start the command again, then reload this page.");
  }
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

let lasting = false; // what is said stays until the next decision or page, whatever goes well meanwhile

function complain(problem, lasts = false) {
  lasting = lasts;
  by("alert").textContent = problem ? problem.message : "";
  by("alert").hidden = !problem;
}

async function attempt(work) {
  try {
    const done = await work();
    if (!lasting) complain(null);
    return done;
  } catch (problem) {
    complain(problem);
    return undefined;
  }
}

// Words.

const isClass = (verdict) => verdict >= 0 && verdict < session.classes.length;
const FURTHER = { "(artefact)": "Artefact", "(unknown)": "Unknown" };
const plain = (text) => FURTHER[text] ?? text;
const word = (verdict) => plain(session.verdicts[verdict]);
const counted = (cell) => (cell.verdict < 0 ? cell.prediction : cell.verdict);

function dot(verdict) {
  return make("span", isClass(verdict) ? `dot c${verdict % 8}` : "dot none");
}

// The grid.

function query(more) {
  const values = { reviewer, count: PAGE, ...more };
  for (const [name, value] of new FormData(by("filters"))) if (value !== "") values[name] = value;
  return new URLSearchParams(values);
}

async function load(more = {}, at = "first") {
  const numberAsked = ++asked;
  complain(null);
  const got = await attempt(() => call(`/api/cells?${query(more)}`));
  if (!got || numberAsked !== asked) return;
  page = got;
  chosen.clear();
  anchor = null;
  current = null;
  draw();
  const cell = page.cells[at === "last" ? page.cells.length - 1 : 0];
  if (cell) look(cell.id, false);
  else hideLook();
  window.scrollTo(0, 0);
}

function draw() {
  tiles = new Map();
  known = new Map(page.cells.map((cell) => [cell.id, cell]));
  by("grid").replaceChildren(...page.cells.map(tile));
  const last = page.first + page.cells.length;
  by("where").textContent = page.total
    ? `${number(page.first + 1)} to ${number(last)} of ${number(page.total)} cells`
    : "";
  by("previous").disabled = page.first === 0;
  by("next").disabled = last >= page.total;
  by("empty").hidden = page.total > 0;
  by("empty").textContent = new FormData(by("filters")).get("show") === "open"
    ? "Nothing is left to do here. Show “all” to see the cells, or export."
    : "No cell is like this. Change what is shown above.";
  drawBar();
}

function tile(cell) {
  const made = make("div", "tile");
  made.setAttribute("role", "option");
  made.tabIndex = -1;
  made.dataset.cell = cell.id;
  const pick = make("input", "pick");
  pick.type = "checkbox";
  pick.tabIndex = -1;
  pick.setAttribute("aria-label", "Choose");
  const lens = make("button", "lens");
  lens.append(magnifier());
  lens.type = "button";
  lens.tabIndex = -1;
  lens.setAttribute("aria-label", "Look closely");
  const pic = make("div", "pic");
  const image = make("img");
  image.decoding = "async";
  image.alt = "";
  image.draggable = false;
  image.addEventListener("load", () => made.classList.add("shown"));
  image.addEventListener("error", () => missing(image));
  image.src = `/thumbnail/${cell.id}.jpg?v=${session.predictions}`;
  pic.append(image);
  made.append(pick, lens, pic, make("div", "words"));
  tiles.set(cell.id, made);
  drawTile(cell);
  return made;
}

function magnifier() {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  picture.setAttribute("viewBox", "0 0 20 20");
  path.setAttribute("d", "M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0-12M13 13l5 5");
  picture.append(path);
  return picture;
}

async function missing(image) {
  const answer = await fetch(image.src).catch(() => null);
  const why = answer && !answer.ok ? await answer.text() : "the picture does not load";
  image.replaceWith(make("div", "gone", `No picture: ${why}`));
}

function drawTile(cell) {
  const made = tiles.get(cell.id);
  if (!made) return;
  const decided = cell.verdict >= 0;
  const changed = decided && cell.verdict !== cell.prediction;
  made.classList.toggle("decided", decided && !changed);
  made.classList.toggle("changed", changed);
  made.classList.toggle("none", decided && !isClass(cell.verdict));
  made.classList.toggle("current", cell.id === current);
  made.tabIndex = cell.id === current ? 0 : -1;
  made.setAttribute("aria-selected", chosen.has(cell.id));
  made.querySelector(".pick").checked = chosen.has(cell.id);
  const name = make("div", "name");
  name.append(dot(counted(cell)), make("span", "", word(counted(cell))));
  if (decided) name.append(make("span", "tick", changed ? "✎" : "✓"));
  const status = session.statuses[cell.status].name;
  const words = [name];
  if (changed) words.push(make("div", "more", `program: ${word(cell.prediction)} ${percent(cell.probability, 0)}`));
  else words.push(make("div", "more", `${percent(cell.probability, 0)}${status === "answered" ? "" : `, ${status}`}`));
  for (const [who, verdict] of cell.others) {
    if (verdict !== cell.verdict) words.push(make("div", "more", `${who}: ${word(verdict)}`));
  }
  made.querySelector(".words").replaceChildren(...words);
  made.setAttribute("aria-label", `${word(counted(cell))}, ${decided ? "decided" : status}, ${cell.name}`);
  made.title = cell.name;
}

const drawAll = () => page.cells.forEach(drawTile);

// Looking at one.

let waiting;

function look(cell, scroll = true) {
  const before = current;
  current = cell;
  for (const one of [before, cell]) if (known.has(one)) drawTile(known.get(one));
  const made = tiles.get(cell);
  if (made) {
    if (document.activeElement !== by("filters").elements.name) made.focus({ preventScroll: true });
    if (scroll) made.scrollIntoView({ block: "nearest" });
  }
  drawBar();
  clearTimeout(waiting);
  waiting = setTimeout(() => showLook(cell), 120); // keys that are held down pass many
}

function hideLook() {
  current = null;
  drawHeat(null);
  by("look").hidden = true;
  by("look").classList.remove("open");
  drawBar();
}

async function showLook(cell) {
  const got = await attempt(() => call(`/api/cells/${cell}?${new URLSearchParams({ reviewer })}`));
  if (!got || cell !== current) return;
  if (known.has(cell)) got.place = known.get(cell).place;
  known.set(cell, got);
  by("look").hidden = false;
  const large = by("large");
  large.hidden = false;
  by("large-missing").hidden = true;
  large.onerror = async () => {
    const answer = await fetch(large.src).catch(() => null);
    large.hidden = true;
    by("large-missing").hidden = false;
    by("large-missing").textContent = `No picture: ${answer && !answer.ok ? await answer.text() : "it does not load"}`;
  };
  large.src = `/picture/${cell}.jpg?v=${session.predictions}`;
  large.alt = `${word(counted(got))}, ${got.name}`;
  by("look-title").replaceChildren(dot(counted(got)), make("span", "", word(counted(got))));
  const status = session.statuses[got.status].name;
  const set = got.set ? `; could be ${got.set.split(" | ").join(" or ")}` : "";
  by("look-status").textContent = `Program: ${word(got.prediction)}, ${status}${set}`;
  by("chances").replaceChildren(...got.probabilities.map((value, place) => {
    const row = make("tr");
    const meter = make("span", "meter");
    meter.append(make("span"));
    meter.firstChild.style.width = `${100 * value}%`;
    const bar = make("td");
    bar.append(meter);
    row.append(make("td", "", session.classes[place]), make("td", "", percent(value)), bar);
    return row;
  }));
  const told = [got.name, got.group && `slide ${got.group}`, got.label && `labelled ${got.label} before`];
  by("look-file").textContent = told.filter(Boolean).join("; ");
  by("history").replaceChildren(...got.history.map((one) => {
    const when = new Date(one.at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
    const what = one.kind === "undone" ? `took back ${plain(one.before)}` : `${one.kind}: ${plain(one.after)}`;
    return make("li", "", `${when}, ${one.reviewer} ${what}`);
  }));
  drawField(got);
  showHeat(cell);
}

// The heat map, and the known cells that this one is like: asked for again and again until they are made.

let heatOn = false;
let heatOf = null; // the cell whose heat map is shown

function toggleHeat() {
  if (session.no_heat || by("look").hidden) return complain(new Error(session.no_heat || "There is no cell to look at."));
  heatOn = !heatOn;
  by("heat-on").setAttribute("aria-pressed", heatOn);
  drawHeat(null);
  if (!heatOn) return undefined;
  // The differential may stand above it; the grid stays where it is.
  const scrolled = narrow.matches ? by("look") : document.querySelector("aside");
  scrolled.scrollTop += by("heat-on").getBoundingClientRect().top - scrolled.getBoundingClientRect().top - 8;
  return showHeat(current);
}

function drawHeat(got, cell = null, said = "") {
  heatOf = got ? cell : null;
  by("heat").hidden = !heatOn;
  by("heat-said").textContent = said;
  const figure = by("heat").querySelector("figure");
  figure.hidden = !got;
  by("known").replaceChildren();
  if (!got) return;
  by("heat-map").src = `/heat/${cell}.jpg?v=${session.predictions}`;
  by("heat-map").alt = `What speaks for ${got.target}`;
  figure.querySelector("figcaption").textContent = `What speaks for ${got.target}, which the program named: from blue to yellow, over the picture as the network sees it. ${got.note}`.trim();
  let heading = "";
  by("known").append(...got.known.flatMap((one, place) => {
    const parts = [];
    if (one.title !== heading) parts.push(make("h3", "", one.title.charAt(0).toUpperCase() + one.title.slice(1)));
    heading = one.title;
    const shown = make("div", "picture", one.why || undefined);
    if (!one.why) {
      const image = make("img");
      image.alt = "";
      image.src = `/known/${cell}/${place}.jpg?v=${session.predictions}`;
      shown.append(image);
    }
    const told = make("div");
    told.append(shown, make("div", "", one.name.split("/").at(-1)), make("small", "", `${one.label}, ${one.distance.toFixed(2)}`));
    told.title = one.name;
    told.append(...one.words.map((text) => make("small", "", text)));
    return [...parts, told];
  }));
}

async function showHeat(cell) {
  if (!heatOn || heatOf === cell) return;
  drawHeat(null);
  while (heatOn && current === cell) {
    const got = await attempt(() => call("/api/explain", { cell }));
    if (!heatOn || current !== cell) return;
    if (!got) return drawHeat(null);
    if (got.state === "ready") return drawHeat(got, cell);
    if (got.state === "failed") return drawHeat(null, null, `No heat map: ${got.why}`);
    by("heat-said").textContent = `${got.doing} …`;
    await new Promise((done) => setTimeout(done, 400));
  }
}

function drawField(got) {
  const field = got.photograph;
  by("field").hidden = !field;
  if (!field) return;
  by("field-name").textContent = `${field.name}, ${number(field.cells.length)} ${field.cells.length === 1 ? "cell" : "cells"}`;
  const image = by("photograph").querySelector("img");
  const address = `/photograph/${got.id}.jpg?v=${session.predictions}`;
  if (!image.src.endsWith(address)) image.src = address;
  const [width, height] = field.size;
  const boxes = field.cells.map((cell) => {
    if (!known.has(cell.id)) known.set(cell.id, cell);
    const box = make("button");
    const [x0, y0, x1, y1] = cell.box;
    box.type = "button";
    box.style.left = `${(100 * x0) / width}%`;
    box.style.top = `${(100 * y0) / height}%`;
    box.style.width = `${(100 * (x1 - x0)) / width}%`;
    box.style.height = `${(100 * (y1 - y0)) / height}%`;
    box.classList.toggle("decided", cell.verdict >= 0);
    box.classList.toggle("here", cell.id === got.id);
    box.title = `${word(counted(cell))}${cell.verdict >= 0 ? ", decided" : ""}`;
    box.addEventListener("click", () => look(cell.id));
    return box;
  });
  by("photograph").replaceChildren(image, ...boxes);
}

// Choosing.

function choose(cell, on = !chosen.has(cell)) {
  if (on) chosen.add(cell);
  else chosen.delete(cell);
  drawTile(known.get(cell));
  drawBar();
}

function chooseRange(to) {
  const ids = page.cells.map((cell) => cell.id);
  const [from, end] = [ids.indexOf(anchor ?? current ?? to), ids.indexOf(to)].sort((a, b) => a - b);
  for (const id of ids.slice(Math.max(from, 0), end + 1)) chosen.add(id);
  drawAll();
  drawBar();
}

function clearChoice() {
  chosen.clear();
  anchor = null;
  drawAll();
  drawBar();
}

by("grid").addEventListener("click", (event) => {
  const made = event.target.closest(".tile");
  if (!made) return;
  const cell = Number(made.dataset.cell);
  if (event.target.closest(".lens")) {
    look(cell);
    by("look").classList.add("open");
    return;
  }
  const touched = event.pointerType === "touch" || narrow.matches;
  if (event.target.closest(".pick") || event.ctrlKey || event.metaKey || touched) {
    choose(cell);
    anchor = cell;
    look(cell, false);
  } else if (event.shiftKey) {
    chooseRange(cell);
    look(cell);
  } else {
    clearChoice();
    anchor = cell;
    look(cell);
  }
});

// Deciding.

const targets = () => (chosen.size ? [...chosen] : current === null ? [] : [current]);

async function decide(verdict, cells = targets()) {
  if (!cells.length || busy) return false;
  busy = true;
  complain(null);
  const said = verdict === null ? null : session.verdicts[verdict]; // null: each is what it is called
  const kept = await attempt(() => call("/api/decide", { reviewer, cells, verdict: said }));
  busy = false;
  if (!kept) return false;
  for (const cell of cells) if (known.has(cell)) setVerdict(cell, verdict ?? counted(known.get(cell)));
  return true;
}

function setVerdict(cell, verdict) {
  if (!known.has(cell)) return;
  known.get(cell).verdict = verdict;
  const shown = page.cells.find((one) => one.id === cell);
  if (shown) {
    shown.verdict = verdict;
    drawTile(shown);
  }
}

async function act(verdict, cells = targets()) {
  const single = chosen.size === 0;
  if (await decide(verdict, cells)) after(single);
}

// Nobody can confirm what they do not see.
const isShown = (cell) => !tiles.has(cell) || tiles.get(cell).classList.contains("shown");

function tellUnseen(cells) {
  const unseen = cells.filter((cell) => !isShown(cell)).length;
  const howMany = `${number(unseen)} ${unseen === 1 ? "cell" : "cells"}`;
  if (unseen) complain(new Error(`Not confirmed, for there is no picture: ${howMany}.`), true);
  return unseen > 0;
}

async function confirm() {
  const cells = targets();
  await act(null, cells.filter(isShown));
  tellUnseen(cells);
}

function after(single) {
  refreshCounts();
  const here = tiles.has(current);
  if (single && here) move(1);
  else {
    clearChoice();
    if (current !== null) look(current, false);
  }
}

async function confirmRest() {
  const open = page.cells.filter((cell) => cell.verdict < 0).map((cell) => cell.id);
  const seen = open.filter(isShown);
  if (seen.length && !(await decide(null, seen))) return;
  await refreshCounts();
  if (tellUnseen(open)) return;
  if (!by("next").disabled) next();
  else clearChoice();
}

async function undo() {
  if (busy) return;
  const got = await attempt(() => call("/api/undo", { reviewer }));
  if (!got) return;
  for (const [cell, verdict] of got.cells) setVerdict(cell, verdict);
  refreshCounts();
  const here = got.cells.map(([cell]) => cell).find((cell) => tiles.has(cell));
  if (here !== undefined) look(here);
  else if (got.cells.length) look(got.cells[0][0]);
}

// Moving.

function move(cells, range = false) {
  const ids = page.cells.map((cell) => cell.id);
  const place = ids.indexOf(current) + cells;
  if (place < 0) return previous();
  if (place >= ids.length) return next();
  if (range) {
    anchor ??= current;
    chosen.clear();
    chooseRange(ids[place]);
  }
  return look(ids[place]);
}

const columns = () => getComputedStyle(by("grid")).gridTemplateColumns.split(" ").length;
const next = () => by("next").disabled || load({ after: page.cells.at(-1).place });
const previous = () => by("previous").disabled || load({ before: page.cells[0].place }, "last");

// The bar, and the counts.

let buttons = [];

function makeBar() {
  const entry = (name, key, work, className, mark) => ({ name, key, work, className, mark });
  buttons = [
    entry("Confirm", "↵", confirm, "confirm"),
    ...session.classes.map((name, place) => entry(name, place < 9 ? `${place + 1}` : "", () => act(place), "", dot(place))),
    entry("Artefact", "A", () => act(session.classes.length), "", dot(session.classes.length)),
    entry("Unknown", "U", () => act(session.classes.length + 1), "", dot(session.classes.length + 1)),
    entry("Undo", "Z", undo, "undo"),
  ];
  by("buttons").replaceChildren(...buttons.map((one) => {
    const made = make("button", one.className);
    made.type = "button";
    if (one.mark) made.append(one.mark);
    made.append(make("span", "", one.name));
    if (one.key) made.append(make("kbd", "", one.key));
    made.addEventListener("click", one.work);
    one.made = made;
    return made;
  }));
}

function drawBar() {
  const cells = targets().length;
  by("chosen").textContent = chosen.size
    ? `${number(chosen.size)} chosen`
    : current === null ? "No cell" : "1 cell";
  for (const one of buttons) if (one.name !== "Undo") one.made.disabled = cells === 0;
  by("rest").disabled = !page.cells.length;
}

async function refreshCounts() {
  const group = new FormData(by("filters")).get("group");
  const values = group ? { reviewer, group } : { reviewer };
  const got = await attempt(() => call(`/api/tally?${new URLSearchParams(values)}`));
  if (!got) return;
  buttons.find((one) => one.name === "Undo").made.disabled = !got.can_undo;
  by("progress").value = got.cells ? got.decided / got.cells : 0;
  const further = [
    `${number(got.changed)} changed`,
    got.artefacts && `${number(got.artefacts)} ${got.artefacts === 1 ? "artefact" : "artefacts"}`,
    got.unknown && `${number(got.unknown)} unknown`,
  ].filter(Boolean);
  by("progress-text").textContent = `${number(got.decided)} of ${number(got.cells)} looked at; ${further.join(", ")}`;
  by("differential").tBodies[0].replaceChildren(...session.classes.map((name, place) => {
    const row = make("tr");
    const head = make("th");
    head.scope = "row";
    head.append(dot(place), name);
    const [machine, reviewed] = [got.machine.classes[name], got.reviewed.classes[name]];
    row.append(head, share(machine), share(reviewed, machine.count !== reviewed.count));
    return row;
  }), totals(got));
  drawAgreement();
}

function share(one, moved = false) {
  const cell = make("td", moved ? "moved" : "");
  if (one.share === null) {
    cell.textContent = "–";
    return cell;
  }
  cell.append(`${percent(one.share)} (${number(one.count)})`);
  cell.append(make("small", "", `${(100 * one.low).toFixed(1)} to ${(100 * one.high).toFixed(1)}`));
  return cell;
}

function totals(got) {
  const row = make("tr");
  row.append(make("th", "", "counted"), make("td", "", number(got.machine.images)), make("td", "", number(got.reviewed.images)));
  return row;
}

async function drawAgreement() {
  const got = await attempt(() => call("/api/agreement"));
  if (!got) return;
  const names = Object.entries(got.reviewers);
  by("agreement").hidden = names.length < 2;
  const rows = [
    ...names.map(([name, cells]) => [name, `${number(cells)} looked at`]),
    ...got.pairs.map((pair) => [
      pair.reviewers.join(" and "),
      `${number(pair.same)} of ${number(pair.cells)} alike (${percent(pair.share)}), kappa ${pair.kappa === null ? "–" : pair.kappa.toFixed(2)}`,
    ]),
  ];
  by("agreement").querySelector("table").replaceChildren(...rows.map(([head, text]) => {
    const row = make("tr");
    row.append(make("th", "", head), make("td", "", text));
    return row;
  }));
}

// Settling the model into this lab.

let settlingAsked = 0; // of polls that overlap the last goes on

const listed = (counts) => Object.entries(counts).map(([name, count]) => `${name} ${number(count)}`).join(", ");
const inCells = (count) => `${number(count)} ${count === 1 ? "cell" : "cells"}`;

async function openSettling() {
  by("settling").showModal();
  await followSettling();
}

async function followSettling(first = null, refused = "") {
  const mine = ++settlingAsked;
  let got = first;
  while (by("settling").open && mine === settlingAsked) {
    got ??= await attempt(() => call("/api/settling"));
    if (!got || mine !== settlingAsked) return;
    drawSettling(got, refused);
    if (!got.running) return;
    got = null;
    await new Promise((done) => setTimeout(done, 700));
  }
}

async function settle(step) {
  settlingAsked += 1; // a poll that is under way tells of before
  const buttons = [...by("settling").querySelectorAll("button:not(.dismiss)")];
  for (const one of buttons) one.disabled = true;
  let got;
  let refused = "";
  try {
    got = await call("/api/settle", { reviewer, step });
  } catch (problem) {
    refused = problem.message;
    got = await attempt(() => call("/api/settling"));
  }
  for (const one of buttons) one.disabled = false;
  await followSettling(got, refused);
}

function drawSettling(got, refused) {
  const { used, running, measured, named } = got;
  const left = [used.not_counted && `${number(used.not_counted)} artefacts or unknown`, used.disagreed && `${number(used.disagreed)} on which reviewers disagree`].filter(Boolean);
  by("settling-used").textContent = `Used: ${inCells(used.cells)} with the class that a person gave or confirmed (${listed(got.labelled)}).`
    + (left.length ? ` Not used: ${left.join(", ")}.` : "")
    + " How often this lab has each class is taken from the reviewed differential of all slides here."
    + ` The model: ${session.model ?? "not known"}, which made these predictions and is not changed.`;
  const lacking = got.missing || got.lacking;
  by("settling-lacking").hidden = !lacking || Boolean(running);
  by("settling-lacking").textContent = lacking;
  const failed = refused || got.failed;
  by("settling-failed").hidden = !failed;
  by("settling-failed").textContent = failed;
  by("settling-running").hidden = !running;
  by("settling-measure").hidden = Boolean(lacking || running);
  by("settling-measure").textContent = measured ? `Measure again with ${inCells(used.cells)}` : "Measure the gain";
  if (running) {
    const doing = running.what === "measuring" ? "Refitting and measuring" : "Naming all cells anew";
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(running.began)) / 1000));
    by("settling-said").textContent = `${doing}, begun by ${running.by}, ${seconds} s. ${running.said || "Starting …"}`;
    if (running.share === null) by("settling-progress").removeAttribute("value");
    else by("settling-progress").value = running.share;
  }
  by("settling-measured").hidden = !measured || Boolean(running);
  if (measured) drawMeasured(measured, got.stage === "measured");
  by("settling-named").hidden = !named || Boolean(running);
  if (named) drawNamed(named);
}

function drawMeasured(measured, open) {
  by("settling-verdict").textContent = `Refitting the head ${measured.verdict}.`;
  const plainly = (one, signed) => {
    const text = (value) => {
      const rounded = Math.round(1000 * value) / 10 || 0; // no minus before a zero
      return `${signed && rounded > 0 ? "+" : ""}${rounded.toFixed(1)}`;
    };
    const made = make("td", "", `${text(one.estimate)}${signed ? " points" : "\u00a0%"}`);
    if (one.low !== null) made.append(make("small", "", `${text(one.low)} to ${text(one.high)}`));
    return made;
  };
  by("settling-gain").tBodies[0].replaceChildren(...[["accuracy", "Accuracy"], ["macro_f1", "Macro F1"]].map(([key, name]) => {
    const row = make("tr");
    const head = make("th", "", name);
    head.scope = "row";
    row.append(head, ...["before", "after", "gain"].map((when) => plainly(measured.intervals[when][key], when === "gain")));
    return row;
  }));
  const when = new Date(measured.at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  by("settling-by").textContent = `Measured for ${measured.by}, ${when}, on ${inCells(measured.cells)}, each by a head that had not learnt from it; below each figure its 95 % interval, and all at this lab's mix of classes as reviewed. ${measured.folder} has the model and its report.`;
  by("settling-cautions").replaceChildren(...measured.cautions.map((text) => make("li", "", text)));
  by("settling-use").hidden = !open;
}

function drawNamed(named) {
  const further = named.cells === named.same_cells ? "" : ` Of ${inCells(named.cells)} now, ${number(named.same_cells)} are among those here.`;
  by("settling-changed").textContent = `${inCells(named.otherwise)} of ${number(named.same_cells)} have another name than before.${further} What you decided here was not changed by that.`;
  by("settling-shares").tBodies[0].replaceChildren(...session.classes.map((name) => {
    const row = make("tr");
    const head = make("th", "", name);
    head.scope = "row";
    row.append(head, share(named.first.classes[name]), share(named.anew.classes[name]));
    return row;
  }));
  by("settling-open").textContent = `To look through them: wbc review predictions=${named.predictions}`;
}

// Keys.

const KEYS = {
  Enter: [confirm, "confirm: it is what it is called"],
  a: [() => act(session.classes.length), "artefact: no white cell, not counted"],
  u: [() => act(session.classes.length + 1), "unknown: a cell of none of the classes, not counted"],
  z: [undo, "take the last decision back"],
  ArrowRight: [() => move(1), ""],
  ArrowLeft: [() => move(-1), ""],
  ArrowDown: [() => move(columns()), ""],
  ArrowUp: [() => move(-columns()), ""],
  x: [() => current !== null && tiles.has(current) && choose(current), "choose this cell, or not; so does the space bar"],
  " ": [() => current !== null && tiles.has(current) && choose(current), ""],
  Escape: [() => { clearChoice(); by("look").classList.remove("open"); }, "choose none"],
  h: [toggleHeat, "heat map of the cell in question, and known cells like it; once more: none"],
  s: [openSettling, "settle the model into this lab"],
  n: [next, "next page"],
  p: [previous, "previous page"],
  "?": [() => by("helping").showModal(), "this help"],
};

function listKeys() {
  const lines = [
    ["← ↑ → ↓", "go to another cell; with Shift choose those between"],
    [`1 to ${Math.min(9, session.classes.length)}`, session.classes.slice(0, 9).join(", ")],
    ["Shift Enter", "confirm the rest of the page, and go on"],
    ...Object.entries(KEYS).filter(([, [, text]]) => text).map(([key, [, text]]) => [key.length === 1 ? key.toUpperCase() : key, text]),
  ];
  by("keys").replaceChildren(...lines.flatMap(([key, text]) => {
    const term = make("dt");
    term.append(make("kbd", "", key));
    return [term, make("dd", "", text)];
  }));
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input:not(.pick), select, dialog") || event.altKey || document.querySelector("dialog[open]")) return;
  const held = event.ctrlKey || event.metaKey;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (held && key !== "z" && key !== "a") return;
  // A button in focus keeps its own Enter and space bar.
  if ((key === "Enter" || key === " ") && event.target.closest("button")) return;
  let work = KEYS[key]?.[0];
  if (held && key === "a") work = () => { page.cells.forEach((cell) => chosen.add(cell.id)); drawAll(); drawBar(); };
  if (/^[1-9]$/.test(key) && Number(key) <= session.classes.length) work = () => act(Number(key) - 1);
  if (key === "Enter" && event.shiftKey) work = confirmRest;
  if (key.startsWith("Arrow") && event.shiftKey) {
    work = () => move({ ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns() }[key], true);
  }
  if (!work) return;
  event.preventDefault();
  if (event.repeat && !key.startsWith("Arrow")) return; // a key that is held decides once
  work();
});

// Everything else.

// What is fixed to the bottom may take several lines.
new ResizeObserver(() => document.documentElement.style.setProperty("--bar", `${by("bar").offsetHeight}px`)).observe(by("bar"));

by("filters").addEventListener("submit", (event) => event.preventDefault());
by("filters").addEventListener("change", () => { load(); refreshCounts(); });
let typing;
by("filters").elements.name.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(load, 250);
});
by("next").addEventListener("click", next);
by("previous").addEventListener("click", previous);
by("rest").addEventListener("click", confirmRest);
by("close").addEventListener("click", () => by("look").classList.remove("open"));
by("help").addEventListener("click", () => by("helping").showModal());
for (const one of document.querySelectorAll(".dismiss")) one.addEventListener("click", () => one.closest("dialog").close());

by("heat-on").addEventListener("click", toggleHeat);
by("settle").addEventListener("click", openSettling);
for (const step of ["measure", "use", "cancel"]) by(`settling-${step}`).addEventListener("click", () => settle(step));

by("export").addEventListener("click", async () => {
  by("export").disabled = true;
  const got = await attempt(() => call("/api/export", {}));
  by("export").disabled = false;
  if (!got) return;
  by("exported-where").textContent = `The files lie in ${got.folder}.`;
  by("to-report").href = "/exports/report.html";
  by("exported-command").textContent = `To settle a model into this lab: wbc adapt checkpoint=${session.model ?? "<model.ckpt>"} data=${got.folder}/labelled.csv`;
  by("exported").showModal();
});

function askName() {
  by("name").value = reviewer || localStorage.getItem("wbc-reviewer") || session.proposed;
  by("ask-name").showModal();
  by("name").select();
}

by("ask-name").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = by("name").value.trim();
  by("name-wrong").hidden = NAME.test(name);
  if (!NAME.test(name)) return;
  by("ask-name").close();
  begin(name);
});
by("ask-name").addEventListener("cancel", (event) => { if (!reviewer) event.preventDefault(); });
by("who").addEventListener("click", askName);

function begin(name) {
  reviewer = name;
  sessionStorage.setItem("wbc-reviewer", name); // of this tab; the browser proposes it in others
  localStorage.setItem("wbc-reviewer", name);
  by("who").textContent = name;
  load();
  refreshCounts();
}

function fill(select, options, value = (place) => place) {
  select.append(...options.map((text, place) => {
    const option = make("option", "", text);
    option.value = value(place);
    return option;
  }));
}

async function start() {
  session = await attempt(() => call("/api/session"));
  if (!session) return;
  document.title = `Review of ${session.title}`;
  by("title").textContent = `Review of ${session.title}`;
  const filters = by("filters").elements;
  fill(filters.verdict, session.verdicts.map((_, place) => word(place)));
  fill(filters.status, session.statuses.map((one) => `${one.name} (${number(one.cells)})`));
  by("by-group").hidden = session.groups.length < 2;
  if (session.groups.length > 1) fill(filters.group, session.groups.map((one) => `${one.name || "none told"} (${number(one.cells)})`));
  by("sure").textContent = session.answered < session.cells / 2
    ? `The program is sure of ${number(session.answered)} of ${number(session.cells)} cells: look at all of them, or adapt the model first.`
    : `The program is sure of ${number(session.answered)} of ${number(session.cells)} cells.`;
  by("caution").textContent = session.caution;
  by("caution").hidden = !session.caution;
  by("heat-on").disabled = Boolean(session.no_heat);
  if (session.no_heat) by("heat-on").firstElementChild.textContent = "No heat map";
  by("no-heat").hidden = !session.no_heat;
  by("no-heat").textContent = session.no_heat;
  makeBar();
  listKeys();
  const before = sessionStorage.getItem("wbc-reviewer");
  if (before) begin(before);
  else askName();
}

start();

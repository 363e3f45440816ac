"use strict";
// Pictures go to /answer as a form; what comes back is shown as text, and drawn into a copy of the picture.

const by = (id) => document.getElementById(id);
const SHOWN_PX = 1400; // the longer side of a drawn photograph
const MOST_DRAWN = 200; // pictures; of more the answers stand without

let running = 0; // the number of the last request: an answer to an earlier one is too late

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function complain(said) {
  by("alert").textContent = said;
  by("alert").hidden = !said;
}

async function ask(files) {
  if (!files.length) return;
  const number = ++running;
  const fields = document.querySelector("[name=kind]:checked").value === "fields";
  const form = new FormData();
  for (const file of files) form.append("images", file);
  complain("");
  by("busy").textContent = `Looking at ${files.length === 1 ? "one picture" : `${files.length} pictures`} …`;
  let record;
  try {
    const answer = await fetch(`/answer?fields=${fields}`, { method: "POST", body: form });
    record = await answer.json();
    if (!record.pictures) throw new Error(record.error.said);
  } catch (error) {
    if (number !== running) return;
    by("busy").textContent = "";
    complain(error instanceof TypeError ? "No answer: is wbc serve still running?" : error.message);
    return;
  }
  if (number !== running) return;
  by("busy").textContent = "";
  show(record, files);
}

function show(record, files) {
  by("notes").replaceChildren(...record.notes.map((note) => element("li", note)));
  by("notes").hidden = !record.notes.length;
  showCounts(record.differential);
  by("answers").replaceChildren(
    ...record.pictures.map((picture, place) => shown(picture, place < MOST_DRAWN ? files[place] : null)),
  );
}

function showCounts(differential) {
  const rows = Object.entries(differential.answered.classes).map(([name, answered]) => {
    const row = element("tr");
    const heading = element("th", name);
    heading.scope = "row";
    row.append(heading, share(answered), share(differential.all.classes[name]));
    return row;
  });
  by("counts").querySelector("tbody").replaceChildren(...rows);
  by("counts").hidden = !differential.all.images;
}

function share(counted) {
  const cell = element("td", counted.share === null ? String(counted.count) : `${counted.count} (${percent(counted.share)})`);
  if (counted.share !== null) cell.append(element("small", `${percent(counted.low)} to ${percent(counted.high)}`));
  return cell;
}

function shown(picture, file) {
  const made = element("article", undefined, picture.cells ? "picture photograph" : "picture");
  made.append(element("h3", picture.name));
  if (picture.error) {
    made.append(element("p", picture.error.said, "wrong"));
    return made;
  }
  if (file) draw(file, picture, made);
  if (picture.answer) made.append(...said(picture.answer));
  else made.append(cells(picture.cells));
  return made;
}

function said(answer) {
  const found = element("p");
  found.append(element("span", answer.prediction, "class"), " ", status(answer.status));
  const chances = element("table", undefined, "chances");
  for (const [name, value] of Object.entries(answer.probabilities)) {
    const row = element("tr");
    const bar = element("td");
    const meter = element("meter");
    meter.value = value;
    meter.textContent = percent(value);
    bar.append(meter);
    row.append(element("td", name), element("td", value.toFixed(3)), bar);
    chances.append(row);
  }
  const parts = [found, chances];
  if (answer.set.length !== 1) parts.push(element("p", `It could be: ${answer.set.join(", ") || "none of them"}`, "small"));
  if (answer.words) {
    if (answer.words.speak_for.length) parts.push(element("p", `For it: ${answer.words.speak_for.join(", ")}`));
    if (answer.words.speak_against.length) parts.push(element("p", `Against it: ${answer.words.speak_against.join(", ")}`));
  }
  return parts;
}

// Where a superclass is answered the class itself is uncertain.
function classIsUncertain(status) {
  return status === "uncertain" || status.startsWith("answered as ");
}

function status(text) {
  const kind = { answered: "answered", uncertain: "" }[classIsUncertain(text) ? "uncertain" : text];
  return element("span", text, `status ${kind === undefined ? "other" : kind}`);
}

function cells(found) {
  if (!found.length) return element("p", "No white cell was found.");
  const wide = element("div", undefined, "wide");
  const table = element("table", undefined, "cells");
  const head = element("tr");
  for (const name of ["", "Class", "Probability", "Status"]) {
    const heading = element("th", name);
    heading.scope = "col";
    head.append(heading);
  }
  table.append(head);
  found.forEach((cell, place) => {
    const row = element("tr");
    const last = element("td");
    last.append(status(cell.status), cell.at_border ? " at the border" : "");
    const chance = cell.probabilities[cell.prediction].toFixed(3);
    row.append(element("td", String(place + 1)), element("td", cell.prediction), element("td", chance), last);
    table.append(row);
  });
  wide.append(table);
  return wide;
}

async function draw(file, picture, made) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return; // a kind that browsers do not show, such as TIFF
  }
  const scale = Math.min(1, SHOWN_PX / Math.max(bitmap.width, bitmap.height));
  const canvas = element("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", picture.cells ? `${picture.name} with a box around each white cell` : picture.name);
  const pen = canvas.getContext("2d");
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  if (picture.cells) {
    const ratio = canvas.width / picture.width;
    const size = Math.max(11, canvas.width / 45);
    pen.font = `bold ${size}px sans-serif`;
    pen.lineWidth = Math.max(1.5, canvas.width / 350);
    picture.cells.forEach((cell, place) => {
      const colour = cell.status === "answered" ? "#00663d" : classIsUncertain(cell.status) ? "#8a5300" : "#a40000";
      const [left, top] = [cell.x0 * ratio, cell.y0 * ratio];
      pen.strokeStyle = colour;
      pen.strokeRect(left, top, (cell.x1 - cell.x0) * ratio, (cell.y1 - cell.y0) * ratio);
      const text = String(place + 1);
      const width = pen.measureText(text).width + 0.5 * size;
      const above = Math.max(0, top - 1.2 * size);
      pen.fillStyle = colour;
      pen.fillRect(left, above, width, 1.2 * size);
      pen.fillStyle = "#fff";
      pen.fillText(text, left + 0.25 * size, above + 0.95 * size);
    });
  }
  made.querySelector("h3").after(canvas);
}

by("files").addEventListener("change", () => {
  ask([...by("files").files]);
  by("files").value = ""; // the same file may be chosen again
});
for (const name of ["dragover", "dragenter"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    by("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) by("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  by("drop").classList.remove("over");
  ask([...event.dataTransfer.files]);
});
by("ask").addEventListener("submit", (event) => event.preventDefault());

fetch("/version")
  .then((answer) => answer.json())
  .then(({ wbc, model }) => {
    by("model").textContent = `wbc ${wbc}, ${model.backbone}, model ${model.sha256.slice(0, 12)}: ${model.classes.join(", ")}`;
  })
  .catch(() => complain("No answer: is wbc serve still running?"));

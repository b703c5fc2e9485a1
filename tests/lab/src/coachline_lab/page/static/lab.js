// The lab: shows what every platform shows, and writes as its learner.

import { bubbleOf, element } from "/bubbles.js";

const SOON = "It waits a moment for more, then answers.";
const LONGER = "A small model takes its time.";
const STUCK = "Still nothing. What does the terminal of the gateway say?";
const GONE = "The lab does not answer. Is `coachline lab` still running?";
const NEAR = 60; // pixels from the end that still count as reading along

const seats = new Map();
const alarm = document.getElementById("alarm");
const spoken = document.getElementById("spoken");
const tabs = document.getElementById("tabs");

async function act(path, body) {
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    tell(response.ok ? "" : await response.text());
    return response.ok;
  } catch {
    tell(GONE);
    return false;
  }
}

function tell(problem) {
  alarm.textContent = problem;
  alarm.hidden = !problem;
}

class Seat {
  constructor(found) {
    this.name = found.name;
    this.title = found.title;
    this.canEdit = found.can_edit;
    this.section = document.getElementById("seat").content.firstElementChild.cloneNode(true);
    this.section.dataset.seat = found.name;
    this.lines = new Map(); // by id: the element, and what it shows as JSON
    this.learner = null;
    this.editing = null;
    this.since = 0;
    this.isAlong = true;
    this.find(".title h2").textContent = found.title;
    this.scroll = this.find(".scroll");
    this.scroll.setAttribute("aria-label", `${found.title}: conversation`);
    this.form = this.find("form");
    this.input = this.find("textarea");
    this.input.id = `text-${found.name}`;
    this.input.placeholder = `Message on ${found.title}…`;
    this.find("label").htmlFor = this.input.id;
    this.find("label").textContent = `Message on ${found.title}`;
    this.find(".about").textContent = found.about;
    this.find(".command").textContent = found.command;
    this.find(".guide").textContent = found.guide;
    this.find(".begin").append(...found.ideas.map((idea) => this.idea(idea)));
    this.listen();
    this.tab = element("button", found.title);
    this.tab.type = "button";
    this.tab.addEventListener("click", () => bringToFront(this));
    tabs.append(this.tab);
    document.getElementById("seats").append(this.section);
    if (seats.size === 0) bringToFront(this);
  }

  find(selector) {
    return this.section.querySelector(selector);
  }

  idea(text) {
    const button = element("button", text);
    button.type = "button";
    button.addEventListener("click", () => {
      act(`/${this.name}/say`, { text });
      this.input.focus();
    });
    return button;
  }

  listen() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        this.send();
      } else if (event.key === "Escape" && this.editing) this.stopEditing();
      else if (event.key === "ArrowUp" && !this.input.value && this.canEdit) this.editLast(event);
    });
    this.scroll.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.scroll;
      this.isAlong = scrollHeight - scrollTop - clientHeight < NEAR;
    });
    new ResizeObserver(() => this.isAlong && this.toEnd()).observe(this.scroll);
    this.find(".editing button").addEventListener("click", () => this.stopEditing());
  }

  async send() {
    const text = this.input.value.trim();
    if (!text) return;
    const { editing } = this;
    const path = `/${this.name}/${editing ? "edit" : "say"}`;
    this.input.value = "";
    this.toEnd();
    const isTaken = await act(path, editing ? { message: editing, text } : { text });
    if (isTaken && editing) this.stopEditing();
    else if (!isTaken && !this.input.value) this.input.value = text;
  }

  edit(line) {
    this.stopEditing();
    this.editing = line.id;
    this.input.value = line.text;
    this.lines.get(line.id).item.classList.add("changing");
    this.find(".editing").hidden = false;
    this.find(".send").textContent = "Save";
    this.input.focus();
  }

  editLast(event) {
    const own = [...this.lines.values()].map((one) => one.line).filter((one) => one.who === "learner");
    if (!own.length) return;
    event.preventDefault();
    this.edit(own.at(-1));
  }

  stopEditing() {
    if (!this.editing) return;
    this.lines.get(this.editing)?.item.classList.remove("changing");
    this.editing = null;
    this.input.value = "";
    this.find(".editing").hidden = true;
    this.find(".send").textContent = "Send";
    this.input.focus();
  }

  toEnd() {
    this.isAlong = true;
    this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  show(found) {
    if (this.learner !== found.learner) this.begin(found);
    this.showLines(found.lines);
    const draft = this.find(".draft");
    draft.firstElementChild.textContent = found.writing;
    draft.hidden = !found.writing;
    const last = found.lines.at(-1);
    const isWaiting = last?.who === "learner" && !found.writing;
    if (last?.id !== this.last) this.since = performance.now();
    this.last = last?.id;
    this.find(".waiting").hidden = !isWaiting;
    this.find(".welcome").hidden = found.lines.length > 0;
    this.grow();
    if (this.isAlong) this.toEnd();
  }

  begin(found) {
    this.stopEditing();
    this.learner = found.learner;
    this.lines.clear();
    this.find(".lines").replaceChildren();
    this.find(".title p").textContent = found.whereabouts;
  }

  // Only what changed is made anew: focus and selection stay, and nothing jumps.
  showLines(found) {
    const list = this.find(".lines");
    const ids = new Set(found.map((line) => line.id));
    for (const [id, { item }] of this.lines) {
      if (ids.has(id)) continue;
      item.remove();
      this.lines.delete(id);
    }
    for (const line of found) {
      const known = this.lines.get(line.id);
      const shown = JSON.stringify(line);
      if (known?.shown === shown) continue;
      const item = this.item(line);
      if (known) known.item.replaceWith(item);
      else list.append(item);
      this.lines.set(line.id, { item, line, shown });
      this.say(line, known?.line);
    }
  }

  item(line) {
    const item = element("li", "", line.who);
    item.dataset.message = line.id;
    item.classList.toggle("changing", this.editing === line.id);
    item.append(bubbleOf(line));
    if (line.buttons.length) item.append(this.buttons(line));
    const words = [line.note, line.is_edited && "changed", line.is_unfinished && "writing…"].filter(Boolean);
    const note = element("p", words.join(" · "), "note");
    if (line.who === "learner" && this.canEdit) {
      const edit = element("button", "Edit", "plain");
      edit.type = "button";
      edit.setAttribute("aria-label", `Edit: ${line.text}`);
      edit.addEventListener("click", () => this.edit(line));
      note.append(words.length ? " · " : "", edit);
    }
    if (note.childNodes.length) item.append(note);
    return item;
  }

  buttons(line) {
    const row = element("div", "", "buttons");
    for (const label of line.buttons) {
      const button = element("button", label);
      button.type = "button";
      button.addEventListener("click", () => act(`/${this.name}/press`, { message: line.id, button: label }));
      row.append(button);
    }
    return row;
  }

  // A finished answer is read out once; drafts are not.
  say(line, before) {
    if (line.who === "learner" || line.is_unfinished || line.text === "…" || line.text === before?.text) return;
    spoken.textContent = `${this.title}: ${line.text}`;
    if (!this.section.offsetParent) this.tab.classList.add("news");
  }

  grow() {
    const waited = (performance.now() - this.since) / 1000;
    this.find(".patience").textContent = waited < 6 ? SOON : waited < 90 ? LONGER : STUCK;
  }
}

function bringToFront(front) {
  for (const seat of [...seats.values(), front]) {
    const isFront = seat === front;
    seat.section.classList.toggle("front", isFront);
    seat.tab.setAttribute("aria-pressed", String(isFront));
    if (isFront) seat.tab.classList.remove("news");
  }
  if (seats.size) front.toEnd();
}

function show(found) {
  if (!seats.has(found.name)) seats.set(found.name, new Seat(found));
  seats.get(found.name).show(found);
}

document.getElementById("renew").addEventListener("click", () => act("/new", {}));
setInterval(() => seats.forEach((seat) => seat.grow()), 1000);

let version = "";
for (;;) {
  try {
    const response = await fetch(`/state?since=${encodeURIComponent(version)}`);
    if (!response.ok) throw new Error(await response.text());
    const state = await response.json();
    version = state.version;
    state.seats.forEach(show);
    if (alarm.textContent === GONE) tell("");
  } catch {
    tell(GONE);
    await new Promise((done) => setTimeout(done, 1000));
  }
}

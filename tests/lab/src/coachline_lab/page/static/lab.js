// The lab: shows what every platform shows, and writes as its learner. Text is only ever set as
// text, so that nothing that somebody wrote is read as HTML.

const seats = new Map();
const alarm = document.getElementById("alarm");

function element(name, text, className) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function act(seat, what, body) {
  const response = await fetch(`/${seat}/${what}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  tell(response.ok ? "" : await response.text());
}

function tell(problem) {
  alarm.textContent = problem;
  alarm.hidden = !problem;
}

const TAGS = {
  bold: "strong", italic: "em", strikethrough: "s", underline: "u", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};

// Telegram's entities count UTF-16 units, as JavaScript's strings do.
function withEntities(text, entities) {
  const root = element("div");
  const sorted = [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length);
  const fill = (parent, from, to, inside) => {
    let at = from;
    while (inside.length) {
      const entity = inside.shift();
      const end = Math.min(entity.offset + entity.length, to);
      if (entity.offset < at) continue;
      parent.append(text.slice(at, entity.offset));
      const within = [];
      while (inside.length && inside[0].offset < end) within.push(inside.shift());
      const child = styled(entity);
      fill(child, entity.offset, end, within);
      parent.append(child);
      at = end;
    }
    parent.append(text.slice(at, to));
  };
  fill(root, 0, text.length, sorted);
  return root;
}

function styled(entity) {
  const made = element(TAGS[entity.type] ?? (entity.type === "text_link" ? "u" : "span"));
  if (entity.url) made.title = entity.url;
  return made;
}

function withBlocks(blocks) {
  const root = element("div");
  for (const block of blocks) {
    if (block.type === "rich_text") block.elements.forEach((part) => root.append(richText(part)));
    else if (block.type === "section") root.append(element("div", block.text?.text ?? ""));
    else if (block.type === "context") {
      root.append(element("div", block.elements.map((one) => one.text ?? "").join("\n"), "note"));
    }
  }
  return root;
}

function richText(part) {
  const names = { rich_text_preformatted: "pre", rich_text_quote: "blockquote" };
  const made = element(names[part.type] ?? "div");
  (part.elements ?? []).forEach((one, number) => {
    if (part.type === "rich_text_list") {
      const line = element("div", `${"  ".repeat(part.indent ?? 0)}${
        part.style === "ordered" ? `${(part.offset ?? 0) + number + 1}.` : "•"} `);
      line.append(richText(one));
      line.lastChild.style.display = "inline";
      made.append(line);
    } else made.append(inline(one));
  });
  return made;
}

function inline(one) {
  const style = one.style ?? {};
  let made = element("span", one.type === "link" ? one.text ?? one.url : one.text ?? "");
  if (one.type === "link") made.title = one.url;
  for (const [name, tag] of [["bold", "strong"], ["italic", "em"], ["strike", "s"], ["code", "code"]]) {
    if (!style[name]) continue;
    const outer = element(tag);
    outer.append(made);
    made = outer;
  }
  return made;
}

function makeSeat(found) {
  const section = document.getElementById("seat").content.firstElementChild.cloneNode(true);
  const input = section.querySelector("input");
  input.id = `text-${found.name}`;
  const label = section.querySelector("label");
  label.htmlFor = input.id;
  label.textContent = `Message on ${found.title}`;
  input.placeholder = "Write as the learner…";
  section.querySelector("h2").textContent = found.title;
  section.querySelector(".title p").textContent = found.whereabouts;
  section.dataset.seat = found.name;
  const seat = { section, input, editing: null, shown: "" };
  section.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value;
    if (seat.editing) act(found.name, "edit", { message: seat.editing, text });
    else act(found.name, "say", { text });
    stopEditing(seat);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && seat.editing) stopEditing(seat);
  });
  document.getElementById("seats").append(section);
  return seat;
}

function stopEditing(seat) {
  seat.editing = null;
  seat.input.value = "";
  seat.section.querySelector("form button").textContent = "Send";
}

function showLine(found, seat, line) {
  const item = element("li", "", line.who);
  item.dataset.message = line.id;
  const bubble = element("div", "", "bubble");
  if (line.blocks.length) bubble.append(withBlocks(line.blocks));
  else if (line.entities.length) bubble.append(withEntities(line.text, line.entities));
  else bubble.textContent = line.text;
  item.append(bubble);
  if (line.buttons.length) item.append(buttonsOf(found, line));
  const note = element("p", [line.note, line.is_edited ? "edited" : "", line.is_unfinished ? "writing…" : ""]
    .filter(Boolean).join(" · "), "note");
  if (line.who === "learner" && found.can_edit) {
    const change = element("button", "change");
    change.type = "button";
    change.addEventListener("click", () => {
      seat.editing = line.id;
      seat.input.value = line.text;
      seat.section.querySelector("form button").textContent = "Save";
      seat.input.focus();
    });
    note.append(" ", change);
  }
  if (note.childNodes.length) item.append(note);
  return item;
}

function buttonsOf(found, line) {
  const row = element("div", "", "buttons");
  for (const label of line.buttons) {
    const button = element("button", label);
    button.type = "button";
    button.addEventListener("click", () => act(found.name, "press", { message: line.id, button: label }));
    row.append(button);
  }
  return row;
}

function show(found) {
  if (!seats.has(found.name)) seats.set(found.name, makeSeat(found));
  const seat = seats.get(found.name);
  const lines = seat.section.querySelector(".lines");
  const now = JSON.stringify(found.lines);
  if (now !== seat.shown) {
    seat.shown = now;
    lines.replaceChildren(...found.lines.map((line) => showLine(found, seat, line)));
    lines.scrollTop = lines.scrollHeight;
  }
  const writing = seat.section.querySelector(".writing");
  writing.textContent = found.writing;
  writing.hidden = !found.writing;
}

let version = "";
for (;;) {
  try {
    const response = await fetch(`/state?since=${encodeURIComponent(version)}`);
    if (!response.ok) throw new Error(await response.text());
    const state = await response.json();
    version = state.version;
    state.seats.forEach(show);
    if (alarm.textContent === GONE()) tell("");
  } catch {
    tell(GONE());
    await new Promise((done) => setTimeout(done, 1000));
  }
}

function GONE() {
  return "The lab does not answer. Is `coachline lab` still running?";
}

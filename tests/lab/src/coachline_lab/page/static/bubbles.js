// One message as the page shows it. Text is only ever set as text, so that nothing that somebody
// wrote is read as HTML.

const TAGS = {
  bold: "strong", italic: "em", strikethrough: "s", underline: "u", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};
const STYLES = [["bold", "strong"], ["italic", "em"], ["strike", "s"], ["code", "code"]];
const PARTS = { rich_text_preformatted: "pre", rich_text_quote: "blockquote" };

export function element(name, text, className) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function bubbleOf(line) {
  const bubble = element("div", "", "bubble");
  if (line.blocks.length) bubble.append(withBlocks(line.blocks));
  else if (line.entities.length) bubble.append(withEntities(line.text, line.entities));
  else if (line.text === "…" && line.who === "bot") bubble.append(dots());
  else bubble.textContent = line.text;
  return bubble;
}

function dots() {
  const made = element("span", "", "dots");
  made.append(element("i"), element("i"), element("i"), element("span", "…", "visually-hidden"));
  return made;
}

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
      const child = entity.type === "text_link" ? link(entity.url) : element(TAGS[entity.type] ?? "span");
      fill(child, entity.offset, end, within);
      parent.append(child);
      at = end;
    }
    parent.append(text.slice(at, to));
  };
  fill(root, 0, text.length, sorted);
  return root;
}

// Only to the web: another scheme would be a script or a file.
function link(address) {
  const made = element("a");
  made.title = address;
  if (/^https?:\/\//i.test(address)) {
    made.href = address;
    made.target = "_blank";
    made.rel = "noopener noreferrer";
  }
  return made;
}

function withBlocks(blocks) {
  const root = element("div");
  for (const block of blocks) {
    if (block.type === "rich_text") block.elements.forEach((part) => root.append(richText(part)));
    else if (block.type === "section") root.append(element("div", block.text?.text ?? ""));
    else if (block.type === "context") {
      root.append(element("div", block.elements.map((one) => one.text ?? "").join("\n"), "context"));
    }
  }
  return root;
}

function richText(part) {
  if (part.type === "rich_text_list") return list(part);
  const made = element(PARTS[part.type] ?? "div");
  made.append(...(part.elements ?? []).map(inline));
  return made;
}

function list(part) {
  const made = document.createDocumentFragment();
  part.elements.forEach((one, number) => {
    const item = element("div", "", "item");
    item.style.setProperty("--indent", part.indent ?? 0);
    const mark = part.style === "ordered" ? `${(part.offset ?? 0) + number + 1}.` : "•";
    item.append(element("span", mark), richText(one));
    made.append(item);
  });
  return made;
}

function inline(one) {
  const style = one.style ?? {};
  let made = one.type === "link" ? link(one.url) : element("span");
  made.textContent = one.text ?? one.url ?? "";
  for (const [name, tag] of STYLES) {
    if (!style[name]) continue;
    const outer = element(tag);
    outer.append(made);
    made = outer;
  }
  return made;
}

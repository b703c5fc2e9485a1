// A small, safe subset of CommonMark: paragraphs, line breaks, lists, bold, emphasis, code, and the
// marks of sources. Everything is made of text nodes, so no text of a model can become markup.

const INLINE = /\*\*(?=\S)(.+?)(?<=\S)\*\*|`([^`\n]+)`|\[(\d{1,3})\]|(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])/g;
const ITEM = /^\s{0,3}(?:([-*+•])|(\d{1,3})[.)])\s+(.*)$/;
const HEADING = /^\s{0,3}#{1,6}\s+(.*?)\s*#*$/;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function appendInline(parent, text) {
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    parent.append(text.slice(end, found.index));
    const [whole, bold, code, mark, emphasis] = found;
    if (bold !== undefined) {
      const strong = element("strong");
      appendInline(strong, bold);
      parent.append(strong);
    } else if (code !== undefined) parent.append(element("code", code));
    else if (mark !== undefined) parent.append(element("span", `[${mark}]`, "mark"));
    else parent.append(element("em", emphasis));
    end = found.index + whole.length;
  }
  parent.append(text.slice(end));
}

function appendLines(parent, lines) {
  lines.forEach((line, index) => {
    if (index) parent.append(element("br"));
    appendInline(parent, line.trim());
  });
}

/** Return nodes that show `text`. */
export function render(text) {
  const blocks = document.createDocumentFragment();
  let lines = [];
  let list = null;

  const endParagraph = () => {
    if (lines.length) {
      const paragraph = element("p");
      appendLines(paragraph, lines);
      blocks.append(paragraph);
    }
    lines = [];
  };

  for (const line of text.split("\n")) {
    const item = ITEM.exec(line);
    const heading = HEADING.exec(line);
    if (item) {
      endParagraph();
      const kind = item[1] ? "UL" : "OL";
      if (list?.tagName !== kind) {
        list = element(kind.toLowerCase());
        if (item[2]) list.start = Number(item[2]);
        blocks.append(list);
      }
      const entry = element("li");
      appendInline(entry, item[3]);
      list.append(entry);
    } else if (!line.trim()) {
      endParagraph();
    } else if (heading) {
      endParagraph();
      list = null;
      const paragraph = element("p");
      paragraph.append(element("strong", heading[1]));
      blocks.append(paragraph);
    } else if (list && /^\s{2,}/.test(line) && !lines.length) {
      // A list item that goes on in an indented line.
      list.lastElementChild.append(" ");
      appendInline(list.lastElementChild, line.trim());
    } else {
      list = null;
      lines.push(line);
    }
  }
  endParagraph();
  return blocks;
}

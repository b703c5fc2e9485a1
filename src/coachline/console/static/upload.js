// Files one by one, each with a bar that says how far it is. Without this the form sends them all.

import { refresh } from "/console/static/live.js";

const csrf = () => document.querySelector("meta[name=csrf]").content;

function show(list, name) {
  const line = document.createElement("li");
  const label = document.createElement("span");
  const bar = document.createElement("progress");
  label.textContent = name;
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", name);
  line.append(label, bar);
  list.append(line);
  return {
    move: (share) => (bar.value = share),
    end: (words, isBad) => {
      bar.remove();
      label.textContent = words;
      label.className = isBad ? "fault" : "hint";
    },
  };
}

/** Send one file; what there is to say about it, and whether it was refused. */
function send(form, file, onProgress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const data = new FormData();
    data.append("files", file, file.name);
    request.open("POST", form.action);
    request.setRequestHeader("x-csrf", csrf());
    request.setRequestHeader("x-part", "form");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    request.addEventListener("error", () => resolve([`${file.name}: the server does not answer.`, true]));
    request.addEventListener("load", () => {
      if (request.status < 300) {
        resolve([decodeURIComponent(request.getResponseHeader("x-says") ?? file.name), false]);
        return;
      }
      let told = `${file.name}: the server answered ${request.status}.`;
      try {
        told = JSON.parse(request.responseText).detail ?? told;
      } catch {
        // An answer of something in between, which is no problem document.
      }
      resolve([told, true]);
    });
    request.send(data);
  });
}

async function upload(form) {
  const input = form.querySelector("input[type=file]");
  const list = form.querySelector("[data-uploads]");
  const button = form.querySelector("button");
  const most = Number(form.dataset.most);
  list.replaceChildren();
  button.disabled = true;
  for (const file of input.files) {
    const line = show(list, file.name);
    if (file.size > most) line.end(`${file.name} has ${file.size} bytes; ${most} are taken.`, true);
    else line.end(...(await send(form, file, line.move)));
  }
  button.disabled = false;
  form.reset();
  refresh(document.getElementById("list"));
}

document.addEventListener("submit", (event) => {
  if (!event.target.hasAttribute("data-upload")) return;
  event.preventDefault();
  upload(event.target);
});

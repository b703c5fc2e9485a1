// The page of one conversation: the answer being written survives everything, "why" opens in place.

const field = () => document.querySelector("[data-draft]");
const place = (one) => `coachline-draft-${one.dataset.draft}`;

// What somebody writes is kept in this tab until it is sent.
function restoreDraft() {
  const one = field();
  if (!one || one.value) return;
  try {
    one.value = sessionStorage.getItem(place(one)) ?? "";
  } catch {
    // No storage: nothing was kept.
  }
}

function keepDraft(one) {
  try {
    if (one.value) sessionStorage.setItem(place(one), one.value);
    else sessionStorage.removeItem(place(one));
  } catch {
    // Full or forbidden: writing works, it only does not survive a reload.
  }
}

async function showWhy(link) {
  const answer = await fetch(link.href, { headers: { "x-part": "why" } }).catch(() => null);
  if (!answer?.ok) {
    location.assign(link.href);
    return;
  }
  document.getElementById("why-body").innerHTML = await answer.text();
  document.getElementById("why").showModal();
}

function insert(text) {
  const one = field();
  one.setRangeText(text, one.selectionStart, one.selectionEnd, "end");
  one.focus();
  keepDraft(one);
}

// The last message in words, for who does not see it appear.
let spoken = null;
function speak() {
  const last = [...document.querySelectorAll("#talk .line:not(.writing, .line-notice)")].at(-1);
  if (!last || last.id === spoken) return;
  const isFirst = spoken === null;
  spoken = last.id;
  if (isFirst) return;
  const text = last.querySelector(".bubble").textContent.trim().slice(0, 300);
  const who = last.classList.contains("line-learner") ? "Learner" : last.classList.contains("line-coach") ? "Coach" : "Bot";
  document.getElementById("spoken").textContent = `${who}: ${text}`;
}

document.addEventListener("input", (event) => event.target.matches("[data-draft]") && keepDraft(event.target));
document.addEventListener("taken", (event) => {
  const one = event.target.querySelector("[data-draft]");
  if (one) {
    keepDraft(one);
    one.focus();
  }
});
document.addEventListener("refreshed", () => {
  restoreDraft();
  speak();
});
document.addEventListener("click", (event) => {
  const why = event.target.closest("[data-why]");
  if (why && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    showWhy(why);
  }
  const canned = event.target.closest("[data-inserts]");
  if (canned) {
    canned.closest("details").open = false;
    insert(canned.dataset.inserts);
  }
});

restoreDraft();
speak();

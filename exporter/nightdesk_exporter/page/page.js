"use strict";
// What the bot sends was escaped there, and is parsed without being run; the page's policy would run nothing in it.
const EVERY = 5000;
const LOST_AFTER = 12000;
const MOST_WAITING = 10000;
// Without a user and password that were typed into the address: fetch refuses such an address.
const HERE = location.origin + location.pathname;
const find = (id) => document.getElementById(id);
let answeredAt = Date.now();
let asking = false;
let checking = false;
let why = "";
let title = document.title;

function span(seconds) {
  if (seconds < 60) return Math.floor(seconds) + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min";
  if (seconds < 172800) return Math.floor(seconds / 3600) + " h " + Math.floor((seconds % 3600) / 60) + " min";
  return Math.floor(seconds / 86400) + " days";
}

// Changes as little as there is to change: what is focused, selected, opened or scrolled to stays as it is.
function morph(old, now) {
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName || (old.id || "") !== (now.id || "")) {
    old.replaceWith(now);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  for (const { name, value } of [...now.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) {
    if (!now.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  const before = [...old.childNodes], after = [...now.childNodes];
  after.forEach((node, index) => (index < before.length ? morph(before[index], node) : old.append(node)));
  before.slice(after.length).forEach((node) => node.remove());
}

function show(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const main = fresh.querySelector("main");
  if (!main || !fresh.getElementById("as-of")) throw new Error("what answers is not the bot's page");
  const open = [...document.querySelectorAll("details[open]")].map((each) => each.id);
  const focused = document.activeElement.closest("[id]")?.id;
  morph(document.querySelector("main"), main);
  morph(document.querySelector("h1"), fresh.querySelector("h1"));
  morph(find("as-of"), fresh.getElementById("as-of"));
  find("tab-icon").href = fresh.getElementById("tab-icon").getAttribute("href");
  for (const id of open) find(id)?.setAttribute("open", "");
  if (document.activeElement === document.body && focused) {
    const back = find(focused);
    (back?.querySelector("summary") ?? back)?.focus({ preventScroll: true });
  }
  title = fresh.title;
  const { word, summary } = fresh.getElementById("said").dataset;
  if (find("said").dataset.word !== word) find("said").textContent = summary;
  find("said").dataset.word = word;
}

async function refresh() {
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch(HERE, { cache: "no-store", signal: AbortSignal.timeout(MOST_WAITING) });
    if (!answer.ok) throw new Error("it answers with " + answer.status + (answer.status === 401 ? ": reload the page and log in" : ""));
    show(await answer.text());
    answeredAt = Date.now();
    why = "";
  } catch (error) {
    why = error instanceof TypeError ? "nothing answers" : error.name === "TimeoutError" ? "it does not answer in time" : error.message;
  } finally {
    asking = checking = false;
    tick();
  }
}

function tick() {
  const age = Date.now() - answeredAt;
  const late = age > LOST_AFTER || age < -LOST_AFTER;
  find("age").textContent = " · " + (age < 2000 ? "live" : span(age / 1000) + " old");
  find("lost").hidden = !late;
  document.body.classList.toggle("lost", late);
  const word = checking ? "Asking …" : "No answer";
  document.title = late ? word + " · " + title.split(" · ").slice(1).join(" · ") : title;
  if (!late) return;
  // How long ago something was is wrong by now; when it was is not.
  const day = find("as-of").dateTime.slice(0, 10);
  for (const time of document.querySelectorAll("main time")) {
    const [, lasting] = /^(for )|^just now$|^in | ago$/.exec(time.textContent) ?? [, null];
    if (lasting !== null) time.textContent = (lasting ? "since " : "") + time.title.replace(day + " ", "");
  }
  const at = new Date(answeredAt);
  // Changed only where it changes, so that it is not read out every second.
  const put = (id, text) => { if (find(id).textContent !== text) find(id).textContent = text; };
  put("lost-word", word);
  put("lost-since", "not reachable since " + at.toISOString().slice(11, 19) + " UTC");
  put("lost-why", (why ? "Asked every " + EVERY / 1000 + " s: " + why + ". " : "") + "What is below is as it was then, and may be wrong by now.");
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  checking = true;
  tick();
  refresh();
});
setInterval(() => { if (!document.hidden) tick(); }, 1000);
setInterval(() => { if (!document.hidden) refresh(); }, EVERY);
tick();

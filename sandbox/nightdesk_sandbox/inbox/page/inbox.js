"use strict";
// Whatever comes from the server as HTML was escaped there; the page's policy would run nothing in it anyway.
const MOST_CARDS = 300;
const form = document.querySelector("#filters");
const said = document.querySelector("#said");
const liveSign = document.querySelector("#live");
let list = document.querySelector("#messages");
let source = null;
let typing = 0;

function query() {
  const chosen = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...chosen]) if (!value) chosen.delete(name);
  return chosen;
}

function ago(seconds) {
  if (seconds < 5) return "just now";
  if (seconds < 60) return Math.floor(seconds) + " s ago";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min ago";
  if (seconds < 86400) return Math.floor(seconds / 3600) + " h ago";
  return "";
}

function tellTimes() {
  for (const time of list.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    time.title = at.toLocaleString();
    time.textContent = ago((Date.now() - at) / 1000) || at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
}

function showStatus(status) {
  document.querySelector("#count").textContent = status.messages === 1 ? "1 message" : status.messages + " messages";
  document.querySelector("#faults").hidden = !status.faults.length;
  document.querySelector("#fault-names").textContent = status.faults.join(", ");
}

function add(message) {
  if (document.querySelector("#message-" + message.id)) return;
  list.querySelector("#empty")?.remove();
  list.insertAdjacentHTML("afterbegin", message.html);
  list.dataset.lastId = message.id;
  const card = list.firstElementChild;
  card.classList.add("new");
  said.textContent = "New message: " + card.querySelector("h2").textContent;
  const cards = list.querySelectorAll("article");
  if (cards.length > MOST_CARDS) cards[cards.length - 1].remove();
  tellTimes();
}

function listen() {
  source?.close();
  if (list.dataset.live !== "yes") { liveSign.textContent = "older messages"; return; }
  const wanted = query();
  wanted.set("since_id", list.dataset.lastId);
  source = new EventSource("live?" + wanted);
  const sign = (words, state) => { liveSign.textContent = words; liveSign.dataset.state = state; };
  source.onopen = () => sign("live", "on");
  source.onerror = () => sign("reconnecting", "off");
  source.addEventListener("message", (event) => add(JSON.parse(event.data)));
  source.addEventListener("status", (event) => showStatus(JSON.parse(event.data)));
  source.addEventListener("cleared", load);
}

async function load() {
  const chosen = query();
  history.replaceState(null, "", chosen.size ? "?" + chosen : location.pathname);
  const part = document.createElement("template");
  part.innerHTML = await (await fetch("cards?" + chosen)).text();
  list.replaceWith(part.content);
  list = document.querySelector("#messages");
  tellTimes();
  listen();
}

form.addEventListener("submit", (event) => { event.preventDefault(); load(); });
form.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(load, 200); });
document.querySelector("#end-faults").addEventListener("click", () => fetch("sandbox/fault", { method: "DELETE" }));
document.querySelector("#clear").addEventListener("click", () => {
  if (confirm("Forget all messages?")) fetch("api/messages", { method: "DELETE" });
});
setInterval(tellTimes, 5000);
tellTimes();
listen();

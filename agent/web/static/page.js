// Keeps the page live: the server sends the parts that changed, this puts them in place.
// Without it the page is whole and reloads itself.
"use strict";
(() => {
  const SILENCE = 5000; // ms without a message (one comes every second) until we say that we lost the agent
  const RETRY = 3000; // ms until a refused connection is tried anew
  const { live, lost, alive, page, name: place } = document.body.dataset;
  const box = document.getElementById("live");
  const words = document.getElementById("live-words");
  const at = document.getElementById("live-at");
  let source = null;
  let heard = Date.now();

  const fill = (name, html) => {
    const part = document.getElementById(name);
    if (!part) return;
    const open = new Set(Array.from(part.querySelectorAll("details[open][id]"), (d) => d.id));
    const focus = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.innerHTML = html;
    for (const details of part.querySelectorAll("details[id]")) details.open = open.has(details.id);
    if (focus) document.getElementById(focus)?.focus();
  };

  const receive = (event) => {
    const message = JSON.parse(event.data);
    if (message.page !== page) return location.reload();
    heard = Date.now();
    words.textContent = alive;
    at.innerHTML = message.at;
    box.className = "live on";
    for (const [name, html] of Object.entries(message.parts)) fill(name, html);
    document.title = `${document.querySelector("h1").textContent} · ${place}`;
  };

  const connect = () => {
    source = new EventSource(live);
    source.onmessage = receive;
  };

  const disconnect = () => {
    if (source) source.close();
    source = null;
  };

  setInterval(() => {
    if (document.hidden || Date.now() - heard < SILENCE) return;
    words.textContent = lost;
    box.className = "live lost";
    if (source && source.readyState === EventSource.CLOSED && Date.now() - heard > SILENCE + RETRY) connect();
  }, 1000);

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return disconnect();
    heard = Date.now();
    disconnect();
    connect();
  });

  connect();
})();

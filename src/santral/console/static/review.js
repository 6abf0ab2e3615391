// Rating without a mouse: digits choose, letters act, what was chosen is said. Without this the page is a
// plain form.

const form = document.getElementById("rate");
const groups = form ? [...form.querySelectorAll("fieldset[data-label]")] : [];
const began = performance.now();
/** How often an item that is looked at is held for longer; leases last minutes. */
const RENEW_EVERY_MS = 60_000;

const radiosOf = (group) => [...group.querySelectorAll("input[type=radio]")];
const isAnswered = (group) => {
  const radios = radiosOf(group);
  return radios.length ? radios.some((r) => r.checked) : group.querySelector("textarea").value !== "";
};

/** The group that has the focus, else the first without an answer, else the first. */
function current() {
  const focused = groups.find((group) => group.contains(document.activeElement));
  return focused ?? groups.find((group) => !isAnswered(group) && radiosOf(group).length) ?? groups[0];
}

function choose(number) {
  const group = current();
  const radio = group && radiosOf(group)[number - 1];
  if (!radio) return;
  radio.checked = true;
  radio.dispatchEvent(new Event("change", { bubbles: true }));
  const word = radio.closest("label").querySelector("span").textContent.trim();
  document.getElementById("said").textContent = `${group.dataset.label}: ${word}, ${form.dataset.chosen}`;
  const next = groups.find((one) => radiosOf(one).length && !isAnswered(one));
  (next ? radiosOf(next)[0] : document.getElementById("keep")).focus();
}

function toggle(id) {
  const details = document.getElementById(id);
  if (!details) return;
  details.open = !details.open;
  details.querySelector("summary").focus();
}

function onKey(event) {
  const isTyping = event.target.closest("textarea, select, input:not([type=radio])");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^[1-9]$/.test(event.key)) { event.preventDefault(); choose(Number(event.key)); return; }
  const act = {
    n: () => form.requestSubmit(),
    s: () => document.querySelector("#skip input[name=reason]")?.focus(),
    g: () => toggle("guide"),
    "?": () => toggle("keys"),
  }[event.key];
  if (act) { event.preventDefault(); act(); }
}

async function hold() {
  const skip = document.getElementById("skip");
  if (document.hidden || !skip) return;
  await fetch("/review/renew", { method: "POST", body: new URLSearchParams(new FormData(skip)) })
    .catch(() => null);
}

if (form) {
  document.addEventListener("keydown", onKey);
  form.addEventListener("submit", () => {
    const seconds = form.elements.seconds;
    if (seconds) seconds.value = ((performance.now() - began) / 1000).toFixed(1);
  });
  setInterval(hold, RENEW_EVERY_MS);
}

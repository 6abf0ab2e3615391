// What the pages gain with scripts on: local times, keys, a live list, a copied id. All of it optional.

const page = document.getElementById("main");

/** Show moments in the reader's own time zone; UTC stays in the tooltip. */
function localise(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, {
    month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
    hourCycle: "h23",
  });
  const withYear = new Intl.DateTimeFormat(document.documentElement.lang, {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit",
    hourCycle: "h23",
  });
  const thisYear = new Date().getFullYear();
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    element.title = element.textContent.trim();
    element.textContent =
      (moment.getFullYear() === thisYear ? format : withYear).format(moment);
  }
}

/** Fetch the page anew and swap its main part, unless the reader is in the middle of something. */
async function refresh() {
  const isBusy =
    document.hidden ||
    page.contains(document.activeElement) && document.activeElement !== page ||
    !getSelection().isCollapsed ||
    page.querySelector("details[open]");
  if (isBusy) return;
  const answer = await fetch(location.href, { redirect: "error" }).catch(() => null);
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = fresh.getElementById("main");
  if (!main) return;
  localise(main);
  page.replaceChildren(...main.childNodes);
}

/** j and k move through a list of traces, / goes to its filter. */
function onKey(event) {
  const isTyping = event.target.closest("input, select, textarea");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const field = page.querySelector(".filters select, .filters input:not([type=hidden])");
    if (field) { event.preventDefault(); field.focus(); }
    return;
  }
  const step = { j: 1, k: -1 }[event.key];
  if (!step) return;
  const links = [...page.querySelectorAll("table.traces a.id")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  links[Math.min(links.length - 1, Math.max(0, at + step))].focus();
}

function offerCopy(button) {
  if (!navigator.clipboard) return;
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}

/** A choice of tenant or month shows its page at once. */
function onChange(event) {
  if (event.target.matches("select[data-submits]")) event.target.form.requestSubmit();
}

localise(page);
document.addEventListener("change", onChange);
document.addEventListener("keydown", onKey);
document.querySelectorAll("[data-copy]").forEach(offerCopy);
const everySeconds = Number(page.dataset.refresh);
if (everySeconds) setInterval(refresh, everySeconds * 1000);

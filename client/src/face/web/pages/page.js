// What the page does beyond its forms: it shows what happens, sends with Enter, and stays where it is. Without it
// everything works by loading pages.

const { base, here } = document.body.dataset;
const log = document.getElementById("log");
const told = document.getElementById("told");
const composer = document.getElementById("composer");
const text = document.getElementById("text");

const say = (words) => {
  told.textContent = words;
  told.hidden = !words;
};
const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;
const toEnd = () => { log.scrollTop = log.scrollHeight; };
// The relay's people write text, never markup: what arrives here was escaped on this machine.
const element = (html) => {
  const frame = document.createElement("template");
  frame.innerHTML = html.trim();
  return frame.content.firstElementChild;
};

if (log) toEnd();

const events = new EventSource(`${base}/events?with=${encodeURIComponent(here)}`);
const on = (name, act) => events.addEventListener(name, (event) => act(JSON.parse(event.data)));
let changes = 0;
on("line", ({ id, html }) => {
  if (!log) return;
  changes += 1;
  const follow = atEnd();
  const line = element(html);
  const there = id && document.getElementById(`m-${id}`);
  if (there) there.replaceWith(line); else log.querySelector("ol").append(line);
  if (follow) toEnd();
});
// What happened while the page was on its way, or its program was gone, nobody told it: it asks once it is told again.
on("ready", async () => {
  for (let tries = 0, seen = -1; log && seen !== changes && tries < 5; tries += 1) {
    seen = changes;
    const fresh = await fetch(location.href).then((answer) => answer.text()).catch(() => "");
    const lines = new DOMParser().parseFromString(fresh, "text/html").querySelector("#log ol");
    if (!lines || seen !== changes) continue;
    const list = log.querySelector("ol");
    const follow = atEnd();
    if (list.innerHTML !== lines.innerHTML) list.replaceWith(lines);
    if (follow) toEnd();
  }
});
on("state", ({ id, words }) => {
  const state = document.querySelector(`#m-${CSS.escape(id)} .state`);
  if (state) state.textContent = words;
});
const moving = document.getElementById("moving");
const bar = (at, name, percent) => {
  let progress = at.querySelector("progress");
  if (percent === null) { progress?.remove(); return; }
  if (!progress) {
    progress = document.createElement("progress");
    progress.max = 100;
    progress.setAttribute("aria-label", `How far ${name} is`);
    at.append(" ", progress);
  }
  progress.value = percent;
};
// What is on its way can be ended.
const ender = (at, id, name, over) => {
  const there = at.querySelector("form.end");
  if (over) { there?.remove(); return; }
  if (there) return;
  const form = document.createElement("form");
  Object.assign(form, { className: "end", method: "post", action: `${base}/do` });
  for (const [field, value] of Object.entries({ here, command: "cancel", id })) {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name: field, value }));
  }
  const button = Object.assign(document.createElement("button"), { textContent: "Cancel" });
  button.setAttribute("aria-label", `Cancel ${name}`);
  form.append(button);
  at.append(" ", form);
};
on("file", ({ id, name, words, percent, over }) => {
  const line = document.querySelector(`#m-${CSS.escape(id)} .file`);
  let waits = document.getElementById(`f-${id}`);
  if (line) {
    line.querySelector(".far").textContent = words;
    bar(line, name, percent);
    ender(line, id, name, over);
    waits?.remove();
  } else if (moving && !over) {
    if (!waits) {
      waits = document.createElement("li");
      waits.id = `f-${id}`;
      waits.append(document.createElement("span"));
      moving.append(waits);
    }
    waits.firstElementChild.textContent = `${name}: ${words}`;
    bar(waits, name, percent);
    ender(waits, id, name, over);
  } else {
    waits?.remove();
    if (over) say(`${name}: ${words}`);
  }
});
on("link", ({ words }) => { document.getElementById("link").textContent = words; });
on("notice", ({ words }) => say(words));
on("again", () => location.reload());
on("list", ({ html }) => {
  const list = document.getElementById("list");
  const typed = document.getElementById("go");
  const focused = document.activeElement === typed;
  const value = typed ? typed.value : "";
  const focus = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  list.innerHTML = html;
  const go = document.getElementById("go");
  if (go) { go.value = value; if (focused) go.focus(); }
  if (focus) list.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
});
events.onerror = () => { document.getElementById("link").textContent = "this page has lost its program; it tries again"; };

const post = async (form) => {
  const answer = await fetch(form.action, {
    method: "POST",
    headers: { accept: "application/json" },
    body: new URLSearchParams(new FormData(form)),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error([said.message, said.cause, said.try && `try: ${said.try}`].filter(Boolean).join("\n"));
  return said;
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  event.preventDefault();
  const button = form.querySelector("button");
  if (button.disabled) return;
  button.disabled = true;
  try {
    const { to, told: words } = await post(form);
    say(words);
    // A file that is fetched tells by itself how far it is.
    const stays = ["get", "cancel"].includes(form.elements.command?.value);
    const reloads = !stays && (form !== composer || form.elements.act.value);
    if (new URL(to, location).pathname !== location.pathname) location.assign(to);
    else if (reloads && !words) location.assign(to);
    else if (form === composer) { text.value = ""; text.focus(); }
  } catch (error) {
    say(error.message);
  }
  button.disabled = false;
});

if (text) {
  text.focus({ preventScroll: true });
  text.selectionStart = text.value.length;
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      composer.requestSubmit();
    }
    if (event.key === "ArrowUp" && !text.value) {
      const own = [...log.querySelectorAll(".message.own")].pop();
      const edit = own?.querySelector('a[href*="?edit="]');
      if (edit) { event.preventDefault(); location.assign(edit.href); }
    }
    if (event.key === "Escape" && composer.elements.act.value) location.assign(location.pathname);
  });
  // What is typed and not sent is kept, sealed, by the program: not by the browser.
  let later = 0;
  text.addEventListener("input", () => {
    clearTimeout(later);
    if (composer.elements.act.value) return;
    later = setTimeout(() => {
      const body = new URLSearchParams({ command: "draft", with: here, text: text.value });
      fetch(`${base}/do`, { method: "POST", headers: { accept: "application/json" }, body }).catch(() => {});
    }, 800);
  });
}

// Files are chosen or dropped; their bytes go to the program, which seals and sends them.
const pick = document.getElementById("pick");
if (pick) {
  const attach = document.getElementById("attach");
  const bring = async (files) => {
    for (const file of files) {
      const query = new URLSearchParams({ to: here, name: file.name });
      say(`${file.name}: on its way`);
      try {
        const answer = await fetch(`${base}/file?${query}`, { method: "POST", headers: { accept: "application/json" }, body: file });
        const said = await answer.json();
        say(answer.ok ? "" : [file.name, said.message, said.cause].filter(Boolean).join(": "));
      } catch {
        say(`${file.name}: it can't be read, or the program has gone`);
      }
    }
  };
  pick.hidden = false;
  pick.addEventListener("click", () => attach.click());
  attach.addEventListener("change", () => { bring([...attach.files]); attach.value = ""; });
  document.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    composer.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) composer.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    composer.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    bring([...event.dataTransfer.files]);
  });
}

document.addEventListener("keydown", (event) => {
  if (event.key === "k" && event.ctrlKey) {
    event.preventDefault();
    document.getElementById("go")?.focus();
  }
});

/* Buttons, downloads and uploads, light and dark, and the start of the page. */
"use strict";
(function (elex) {
  const { find, set } = elex;

  /* ---- light and dark ---- */
  let painted = "light";
  function wanted() {
    let kept = null;
    try { kept = localStorage.getItem("elex-theme"); } catch (error) { /* storage is forbidden */ }
    return kept || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  }
  function paint(theme) {
    painted = theme;
    document.documentElement.setAttribute("data-mantine-color-scheme", theme);
    if (!find("theme-button")) return;
    set("mantine", { forceColorScheme: theme });
    find("theme-button").textContent = theme === "dark" ? "Light" : "Dark";
  }
  elex.theme = () => painted;
  paint(wanted());

  /* ---- downloads with progress, uploads ---- */
  let zipping = null;
  async function zip() {
    const button = find("zip-button"), words = find("zip-progress");
    if (zipping) { zipping.abort(); return; }
    zipping = new AbortController();
    button.textContent = "Cancel";
    try {
      const answer = await fetch(elex.root() + "labels.zip" + location.search, { signal: zipping.signal });
      if (!answer.ok) throw new Error(answer.statusText);
      const total = Number(answer.headers.get("X-Labels")), pieces = [];
      const reader = answer.body.getReader();
      let seen = 0, state = 0;
      const mark = [0x50, 0x4b, 0x03, 0x04]; // each file of the archive begins so
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        pieces.push(value);
        for (const byte of value) {
          state = byte === mark[state] ? state + 1 : byte === mark[0] ? 1 : 0;
          if (state === 4) { seen += 1; state = 0; }
        }
        words.textContent = `${Math.min(seen, total)} of ${total} labels`;
      }
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob(pieces, { type: "application/zip" }));
      link.download = "labels.zip";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      words.textContent = `${total} labels saved`;
    } catch (error) {
      words.textContent = error.name === "AbortError" ? "cancelled" : `failed: ${error.message}`;
    } finally {
      zipping = null;
      button.textContent = "All labels (zip)";
    }
  }
  async function upload(file) {
    if (file.size > 131072) { elex.say(`${file.name} is larger than 128 kB: not a file of weights or thresholds.`, true); return; }
    try {
      const name = file.name.replace(/[^\x20-\x7e]/g, "_");
      const answer = await fetch(elex.root() + "check-upload" + location.search, { method: "POST", body: await file.arrayBuffer(), headers: { "X-Name": name } });
      const found = await answer.json();
      const parts = { ...(found.weights === null ? {} : { w: found.weights }), ...(found.thresholds === null ? {} : { h: found.thresholds }) };
      if (!answer.ok || elex.change(parts)) elex.say(found.message, !answer.ok);
    } catch (error) {
      elex.say(`The file could not be checked: ${error.message}. Nothing was changed.`, true);
    }
  }
  function chooseFile() {
    const input = document.createElement("input");
    input.type = "file";
    input.accept = ".json,application/json";
    input.onchange = () => input.files[0] && upload(input.files[0]);
    input.click();
  }
  async function share() {
    const button = find("share-button");
    try { await navigator.clipboard.writeText(location.href); button.textContent = "Copied"; }
    catch (error) { prompt("The address of this view:", location.href); }
    setTimeout(() => { button.textContent = "Copy link"; }, 2000);
  }

  /* ---- numbers of the table ---- */
  window.dashAgGridFunctions = window.dashAgGridFunctions || {};
  const plainNumber = (value) => {
    if (value === null || value === undefined) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e4 || size < 1e-3) {
      const power = Math.min(Math.max(Math.floor(Math.log10(size) / 3), -3), 4);
      return Number((value / 10 ** (3 * power)).toPrecision(3)) + " " + { "-3": "n", "-2": "µ", "-1": "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T" }[power];
    }
    return String(Number(value.toPrecision(3)));
  };
  window.dashAgGridFunctions.elexNumber = (params) => plainNumber(params.value);
  window.dashAgGridFunctions.elexPercent = (params) => params.value === null || params.value === undefined ? "–" : params.value.toFixed(1);


  /* ---- buttons ---- */
  const compared = (id) => {
    const now = elex.now.c || [];
    elex.change({ c: now.includes(id) ? now.filter((each) => each !== id) : [...now, id].slice(-4) });
  };
  const BUTTONS = {
    "theme-button": () => {
      const next = elex.theme() === "dark" ? "light" : "dark";
      try { localStorage.setItem("elex-theme", next); } catch (error) { /* it lasts for this visit then */ }
      paint(next);
      elex.refresh();
    },
    "help-button": () => set("help", { opened: true }),
    "tuning-button": () => set("tuning", { opened: true }),
    "share-button": share,
    "zip-button": zip,
    "upload-button": chooseFile,
    "unpin-button": () => elex.change({ i: "" }),
    "compare-button": () => elex.shown && compared(elex.shown),
    "quantiles-button": () => elex.change({ h: "quantiles" }),
    "reset-button": () => { elex.say(""); elex.change({ w: "", h: "", r: elex.defaults.r, m: elex.defaults.m, u: elex.defaults.u }); },
    "all-environments": () => elex.change({ e: elex.names.slice() }),
    "news-button": () => location.reload(), // the view stands in the address
    "one-environment": () => elex.change({ e: elex.names.slice(0, 1) }),
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.uncompare) compared(button.dataset.uncompare);
    else if (BUTTONS[button.id]) BUTTONS[button.id]();
  });
  window.addEventListener("popstate", () => elex.refresh());

  /* ---- results that have come since the page was made ---- */
  async function lookForNews() {
    if (document.hidden || !find("news")) return;
    try {
      const answer = await fetch(elex.root() + "version");
      if (!answer.ok) return;
      const news = (await answer.text()) !== document.body.dataset.version;
      if (news && !find("plot")) location.reload(); // there was nothing yet
      else find("news").hidden = !news;
    } catch (error) { /* a server that is gone is told by what the page asks for */ }
  }
  setInterval(lookForNews, 5000);
  document.addEventListener("visibilitychange", lookForNews);

  /* ---- the start: the picture first, then Plotly, then everything else ---- */
  elex.load = (source) => new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = source;
    script.async = false;
    script.onload = resolve;
    script.onerror = () => reject(new Error(source + " could not be loaded"));
    document.head.appendChild(script);
  });
  async function begin() {
    const then = [...find("then").content.querySelectorAll("script[src]")].map((each) => each.getAttribute("src"));
    const early = find("graph");
    try {
      if (early) {
        const library = elex.load(document.body.dataset.plotly);
        await elex.scatter(location.search, elex.theme());
        await library;
        await elex.drawScatter();
      }
      await Promise.all(then.map(elex.load));
    } catch (error) { elex.lost(true); }
    window.renderer = new window.DashRenderer();
    when(() => find("main") && (find("plot") || !early), () => settle(early));
  }
  function when(is, then) {
    if (is()) { then(); return; }
    const watch = new MutationObserver(() => { if (is()) { watch.disconnect(); then(); } });
    watch.observe(document.body, { childList: true, subtree: true });
  }
  /* When Dash has made the page, the plot moves from the waiting page to its place there. */
  function settle(early) {
    document.body.classList.remove("waiting");
    paint(painted); // Mantine had its own idea
    if (!early) return;
    find("plot").insertBefore(early, find("plot").firstChild);
    find("early").remove();
    if (early.data) window.Plotly.Plots.resize(early);
    if (matchMedia("(max-width: 760px)").matches) document.querySelectorAll("#controls details").forEach((each) => { each.open = false; });
    elex.refresh();
  }
  begin();
})(window.elex);

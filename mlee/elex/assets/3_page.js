/* The page around the plot: controls, words, the model's panel, and what each tab shows. Dash draws the components. */
"use strict";
(function (elex) {
  const { find, same, set, PLACE, RATING, FIGURE } = elex;
  const KINDS = { t: "select", d: "select", x: "select", y: "select", r: "select", e: "checks", l: "checks", o: "checks", q: "text", s: "segments", m: "plain", u: "plain", tab: "tabs", n: "trace" };
  const control = (key) => ({ control: key, kind: KINDS[key] });
  const element = (type, children, props) => ({ namespace: "dash_html_components", type, props: { children, ...props } });
  const offered = {}; // select -> its options
  const showing = {}; // control -> the value that stands in it
  let environments = null;
  let tuningMade = 0; // how often its controls have been made
  let tuning = null; // weights and thresholds as the open drawer shows them; null while it is closed

  /* ---- a view, drawn ---- */
  elex.refresh = function () {
    const search = location.search, theme = elex.theme(), tab = new URLSearchParams(search).get("tab") || "scatter";
    (TABS[tab] || TABS.scatter)(search, theme);
    elex.part("state", search, [...FIGURE, "tab", "i", "c", "n"], {}, applyState);
    describe(search, theme);
    if (tuning) showTuning();
    for (const name of ["table.csv", "weights.json", "thresholds.json"]) find(name).href = elex.root() + name + search;
    if (tab !== "time") follow(false);
  };
  let applied = null; // the state that was applied last
  function applyState(found) {
    applied = found;
    const asMade = !elex.defaults && !location.search; // the page was made for the default view
    elex.defaults = found.defaults;
    elex.names = found.names;
    document.body.classList.toggle("unlabelled", !found.labelled); // some tasks of other tools have no label
    const labelled = fromLabel();
    for (const [key, value] of Object.entries(found.values)) {
      const options = found.options[key], news = options && !same(options, offered[key]);
      if (options) offered[key] = options;
      elex.now[key] = value;
      if (!KINDS[key] || (same(value, showing[key]) && !news)) continue;
      showing[key] = value;
      if (asMade) continue;
      if (news) {
        set(control(key), { data: options });
        // A select forgets a value that its options do not have: the options first, the value a moment later.
        setTimeout(() => set(control(key), { value: elex.now[key] }), 50);
      } else set(control(key), { value });
    }
    if (!asMade && !same(found.environments, environments)) set("environments", { children: found.environments });
    environments = found.environments;
    find("summary").textContent = found.summary;
    find("rating-words").textContent = found.rating;
    find("notices").replaceChildren(...[elex.unread, ...found.notices].filter(Boolean).map(notice));
    const kept = elex.now.i;
    find("panel").classList.toggle("pinned", Boolean(kept));
    find("pin-words").textContent = kept ? "kept" : "click to keep";
    find("unpin-button").disabled = !kept;
    countCompared();
    if (labelled) elex.change({ i: labelled });
    else if (kept) { if (kept !== elex.shown) elex.show(kept); }
    else if (found.example && !elex.points().some((each) => each.id === elex.shown)) elex.show(found.example);
  }
  const notice = (said) => Object.assign(document.createElement("li"), { textContent: said });
  /* Say why a change was not made; the controls go back to the view that is shown. */
  elex.refuse = function (said) {
    applyState(applied);
    find("notices").prepend(notice(said));
    if (tuning) elex.say(said, true);
  };
  /* A label's QR code leads here with the digest of its result: #sha256=... */
  function fromLabel() {
    const found = /^#sha256=([0-9a-f]{16})/.exec(location.hash);
    if (!found) return null;
    history.replaceState(null, "", location.pathname + location.search);
    return found[1];
  }

  /* ---- tabs ---- */
  const picture = (name) => (search, theme) => elex.part(name, search, FIGURE, { theme }, (found) => {
    if (found.words) find(name + "-words").textContent = found.words;
    return elex.draw(name + "-graph", found.figure);
  });
  const TABS = {
    scatter: (search, theme) => elex.scatter(search, theme),
    ratings: picture("ratings"),
    metrics: picture("metrics"),
    table: (search, theme) => elex.part("table", search, FIGURE, { theme }, async (found) => {
      await library();
      const props = {
        id: "grid",
        rowData: found.rows,
        columnDefs: found.columns,
        getRowId: "params.data.id",
        defaultColDef: { sortable: true, filter: true, resizable: true },
        dashGridOptions: {
          theme: { function: theme === "dark" ? "themeQuartz.withPart(colorSchemeDark)" : "themeQuartz" },
          rowSelection: { mode: "singleRow", checkboxes: false, enableClickSelection: true },
          animateRows: false,
          tooltipShowDelay: 300,
        },
        style: { height: "min(70vh, 640px)" },
      };
      set("grid-frame", { children: { namespace: "dash_ag_grid", type: "AgGrid", props } });
    }),
    compare: (search, theme) => elex.part("compare", search, [...FIGURE, "c"], { theme }, (found) => {
      set("comparison", { children: found.children });
      set("compared-names", { children: found.labels.map((each) => element("Button", each.name + "  \u2715", { className: "button chip", type: "button", "data-uncompare": each.id, title: "take out of the comparison" })) });
      const image = (each) => element("Img", null, { src: elex.address(`label/${each.id}.svg`, search, RATING, { variant: "compact" }), alt: "Energy label of " + each.name, width: "260", height: "364" });
      set("compare-labels", { children: found.labels.length > 1 ? found.labels.filter((each) => each.labelled).map(image) : [] });
      find("compare-graph").hidden = !found.figure;
      return elex.draw("compare-graph", found.figure);
    }),
    time: (search, theme) => power(search, theme, true),
  };
  function power(search, theme, again) {
    return elex.part("time", search, [...FIGURE, "n"], { theme }, (found) => {
      find("time-graph").hidden = !found.figure;
      follow(found.live);
      if (!same(found.runs, offered.n)) set(control("n"), { data: (offered.n = found.runs), placeholder: found.name || "" });
      const none = "There is no experiment folder with traces here. Start the page with --directory experiments, or the folder of a run.";
      find("time-words").textContent = found.runs.length ? [found.live ? "This run is going on: the picture follows it." : "", ...found.remarks].filter(Boolean).join(" ") : none;
      return elex.draw("time-graph", found.figure, true);
    }, again);
  }
  let tick = null;
  function follow(live) {
    if (live && !tick) tick = setInterval(() => power(location.search, elex.theme(), true), 2000);
    if (!live && tick) { clearInterval(tick); tick = null; }
  }
  /* The table's library comes when it is first looked at. */
  let late = null;
  const library = () => (late = late || elex.load(document.body.dataset.late).catch((error) => { late = null; throw error; }));

  /* ---- the model's panel ---- */
  /* Say on the button whether the model shown is compared, and on the tab how many are. */
  function countCompared() {
    const compared = elex.now.c || [];
    find("compare-button").textContent = compared.includes(elex.shown) ? "Compared \u2713" : "Compare";
    find("compare-count").textContent = compared.length ? ` (${compared.length})` : "";
  }
  /* Show a model: its label at once, the rest as it comes. */
  let resting = null;
  elex.show = function (id, passing) {
    if (!find("panel")) return;
    elex.shown = id;
    elex.placeRing();
    find("panel-empty").hidden = Boolean(id);
    find("panel-body").hidden = !id;
    find("compare-button").disabled = !id;
    countCompared();
    clearTimeout(resting);
    label(id, location.search);
    // A pointer that only passes by wants the label; the rest is for one that stays.
    if (passing) resting = setTimeout(() => describe(location.search, elex.theme()), 120);
    else describe(location.search, elex.theme());
  };
  function label(id, search) {
    if (!id || document.body.classList.contains("unlabelled")) return;
    const source = elex.address(`label/${id}.svg`, search, RATING);
    if (find("label").getAttribute("src") !== source) find("label").src = source;
  }
  function describe(search, theme) {
    const id = elex.shown;
    if (!id) return;
    label(id, search);
    for (const format of ["pdf", "svg", "png"]) find("label-" + format).href = elex.address(`label/${id}.${format}`, search, RATING, { download: "1" });
    find("summary-link").href = elex.address(`summary/${id}.json`, search, RATING);
    find("log-link").href = elex.address(`log/${id}.json`, search, []);
    const query = new URLSearchParams(search);
    query.set("i", id);
    elex.part("facts", query.toString(), [...PLACE, ...RATING, "i"], { theme }, (found) => {
      find("label").alt = found.alt || "";
      set("facts", { children: found.children });
      find("profile").hidden = !found.figure;
      return elex.draw("profile", found.figure);
    });
  }

  /* ---- the drawer with weights and thresholds ---- */
  const SETTLED_MS = 600; // longer than a number waits before it tells what was typed (controls.py)
  let typed = -SETTLED_MS; // when something was last typed into the drawer
  document.addEventListener("input", (event) => { if (event.target.closest("#tuning-controls")) typed = performance.now(); });
  const showTuning = () => elex.part("tuning", location.search, FIGURE, {}, (found) => {
    tuning = found.current;
    const made = ++tuningMade;
    const draw = () => {
      if (made !== tuningMade) return; // a newer one is on its way
      // New controls would take away what somebody is typing into the old ones.
      const left = typed + SETTLED_MS - performance.now();
      if (left > 0) setTimeout(draw, left);
      else set("tuning-controls", { children: found.children });
    };
    draw();
  });
  elex.say = (message, bad) => set("upload-message", { children: message, className: bad ? "bad" : "good" });
  /* Put `key:value` in place of what a list `key:value,...` says of the key; null takes it out. */
  function replaced(text, key, value) {
    const parts = (text || "").split(",").filter((part) => part && !part.startsWith(key + ":"));
    if (value !== null) parts.push(key + ":" + value);
    return parts.join(",");
  }
  function tune(id, value) {
    const was = tuning[id.metric];
    if (!was || value === null || value === "") return;
    if (id.tune === "weight") {
      if (value !== was.weight) elex.change({ w: replaced(elex.now.w, encodeURIComponent(id.metric), value === was.usual ? null : String(value)) });
      return;
    }
    const four = was.thresholds.slice();
    if (id.tune === "slider") {
      const moved = [...value].sort((a, b) => b - a);
      four.forEach((old, n) => { if (Math.abs(moved[n] - old) > was.step * 0.75) four[n] = Number(moved[n].toPrecision(4)); });
    } else if (value !== was.shown[id.number]) four[id.number] = value;
    if (same(four, was.thresholds)) return;
    if (four.some((each, n) => n && each > four[n - 1])) {
      elex.say(`Thresholds must fall from A to D: ${four.join(", ")} do not. Nothing was changed.`, true);
      return;
    }
    elex.say("");
    const changed = elex.now.h || "", own = changed.startsWith(was.kind + "~") ? changed.slice(was.kind.length + 1) : "";
    const base = changed === "quantiles" ? was.all : own;
    elex.change({ h: was.kind + "~" + replaced(base, `${encodeURIComponent(id.task)}~${encodeURIComponent(id.metric)}`, four.join("/")) });
  }

  /* ---- what Dash tells ---- */
  const triggered = () => window.dash_clientside.callback_context.triggered || [];
  const nothing = () => window.dash_clientside.no_update;
  const idOf = (trigger) => JSON.parse(trigger.prop_id.slice(0, trigger.prop_id.lastIndexOf(".")));
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.elex = {
    changed() {
      const parts = {};
      for (const each of triggered()) {
        const key = idOf(each).control;
        // Selects drop a value for a moment when their options change; that is no choice of anybody.
        if (each.value === null || each.value === undefined) continue;
        showing[key] = each.value;
        if (!same(each.value, elex.now[key])) parts[key] = each.value;
      }
      if (elex.defaults && Object.keys(parts).length) elex.change(parts);
      return nothing();
    },
    tuned() {
      const by = triggered();
      if (tuning) by.forEach((each) => tune(idOf(each), each.value)); // those just made have the values that are known
      return nothing();
    },
    picked(rows) {
      if (rows && rows.length) elex.change({ i: rows[0].id });
      return nothing();
    },
    drawer(opened) {
      tuning = opened ? tuning || {} : null;
      if (opened) showTuning();
      return nothing();
    },
  };
})(window.elex);

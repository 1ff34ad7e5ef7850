/* The page's own behaviour. The address holds the view; parts of the page are fetched for it and drawn.
   A function here is called by Dash with the values of its inputs (mlee/elex/callbacks.py) and returns those of its outputs. */
"use strict";
(function () {
  const still = () => window.dash_clientside.no_update;
  const context = () => window.dash_clientside.callback_context;
  const set = (id, props) => window.dash_clientside.set_props(id, props);
  const find = (id) => document.getElementById(id);
  const NONE = "-"; // an empty list
  const FIGURE = ["t", "d", "e", "q", "x", "y", "s", "l", "o", "r", "m", "u", "w", "h"];
  const RATING = ["r", "m", "u", "w", "h"];
  const PLACE = ["t", "d"];

  /* ---- addresses ---- */
  const root = () => JSON.parse(find("_dash-config").textContent).requests_pathname_prefix;
  const version = () => document.body.dataset.version;
  function only(search, keys) {
    const all = new URLSearchParams(search || ""), some = new URLSearchParams();
    for (const [key, value] of all) if (keys.includes(key)) some.append(key, value);
    return some;
  }
  function address(path, search, keys, more) {
    const query = only(search, keys);
    for (const [key, value] of Object.entries(more || {})) query.append(key, value);
    query.append("v", version());
    return root() + path + "?" + query.toString();
  }
  const open_ = {}; // part -> the request under way: a newer one of the same part ends it
  async function get(part, search, keys, more) {
    if (open_[part]) open_[part].abort();
    const mine = (open_[part] = new AbortController());
    try {
      const answer = await fetch(address("view/" + part, search, keys, more), { signal: mine.signal });
      if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
      const found = await answer.json();
      lost(false);
      return open_[part] === mine ? found : null;
    } catch (error) {
      if (error.name === "AbortError") return null;
      lost(true);
      return null;
    }
  }
  function lost(is) {
    document.body.classList.toggle("lost", is);
  }
  const many = (count) => new Array(count).fill(still());
  const span = (children, props) => ({ namespace: "dash_html_components", type: "Span", props: { children, ...props } });
  const element = (type, children, props) => ({ namespace: "dash_html_components", type, props: { children, ...props } });
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  /* ---- theme ---- */
  function wanted() {
    let kept = null;
    try { kept = localStorage.getItem("elex-theme"); } catch (error) { /* storage is forbidden */ }
    return kept || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  }
  document.documentElement.setAttribute("data-mantine-color-scheme", wanted());

  /* ---- the plot: keys, the ring around the model that is shown ---- */
  let where = null; // [trace, point] that the keys are at
  let shownId = "";
  const plot = () => find("graph");
  function points() {
    const gd = plot(), found = [];
    if (!gd || !gd._fullLayout) return found;
    (gd.data || []).forEach((trace, t) => (trace.customdata || []).forEach((data, n) => {
      if (trace.x[n] !== null && trace.y[n] !== null) found.push({ id: data[0], t, n, x: trace.x[n], y: trace.y[n], name: data[1], letter: trace.text[n] });
    }));
    return found;
  }
  const CONFIG = { displaylogo: false, responsive: true, displayModeBar: matchMedia("(hover: none)").matches ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const STILL = { displayModeBar: false, responsive: true };
  const figures = {}; // id -> the latest figure wanted: of several, the last is drawn
  async function draw(id, figure, config) {
    figures[id] = figure;
    const gd = find(id);
    if (!gd || !figure || !window.Plotly) return;
    gd.style.height = figure.layout.height ? figure.layout.height + "px" : "";
    for (const axis of ["xaxis", "yaxis"]) {
      const title = (figure.layout[axis] || {}).title;
      if (title && gd.clientWidth < 520) title.text = title.text.replace(" (", "<br>(");
    }
    await window.Plotly.react(gd, figure.data, figure.layout, config || STILL);
  }
  let scatterAt = ""; // the address whose picture is drawn
  async function scatter(search, theme) {
    const now = address("view/scatter", search, FIGURE, { theme });
    if (now === scatterAt && plot()) return still();
    const found = await get("scatter", search, FIGURE, { theme });
    if (!found) return still();
    scatterAt = now;
    figures.graph = found.figure;
    if (window.Plotly) await drawScatter();
    else preview(plot(), found.figure);
    return found.words;
  }
  async function drawScatter() {
    await draw("graph", figures.graph, CONFIG);
    const gd = plot();
    if (!gd.elex) {
      gd.elex = true;
      const idOf = (event) => (event.points.find((each) => each.customdata) || { customdata: [""] }).customdata[0];
      gd.on("plotly_hover", (event) => { if (!pinned() && idOf(event)) show(idOf(event)); });
      gd.on("plotly_click", (event) => { if (idOf(event)) { show(idOf(event)); set("selected", { data: idOf(event) }); } });
      gd.on("plotly_afterplot", placeRing);
    }
    placeRing();
  }
  const pinned = () => new URLSearchParams(location.search).get("i");
  /* Show a model: its label at once, the rest as it comes. */
  function show(id) {
    if (!find("panel")) return;
    shownId = id;
    where = id || where;
    placeRing();
    find("panel-empty").hidden = Boolean(id);
    find("panel-body").hidden = !id;
    find("compare-button").disabled = !id;
    if (id) {
      const source = address(`label/${id}.svg`, location.search, RATING);
      if (find("label").getAttribute("src") !== source) find("label").src = source;
    }
    set("shown", { data: id });
  }
  function placeRing() {
    const ring = find("ring"), gd = plot();
    if (!ring) return;
    const at = document.activeElement === find("plot") && where ? where : shownId;
    const point = at && gd ? points().find((p) => p.id === at) : null;
    if (!point || !gd._fullLayout || !gd._fullLayout.xaxis) { ring.style.display = "none"; return; }
    const { xaxis, yaxis } = gd._fullLayout;
    const left = xaxis._offset + xaxis.d2p(point.x), top = yaxis._offset + yaxis.d2p(point.y);
    const inside = left >= xaxis._offset && left <= xaxis._offset + xaxis._length && top >= yaxis._offset && top <= yaxis._offset + yaxis._length;
    ring.style.display = inside ? "block" : "none";
    ring.style.transform = `translate(${left}px, ${top}px)`;
  }
  function keyed(event) {
    if (event.key === "Escape") { set("selected", { data: "" }); return; }
    const all = points();
    if (!all.length) return;
    all.sort((a, b) => a.x - b.x || a.y - b.y);
    let at = all.findIndex((p) => p.id === where);
    const byY = [...all].sort((a, b) => a.y - b.y || a.x - b.x);
    const step = (list, by) => {
      const now = list.findIndex((p) => p.id === where);
      return list[Math.min(Math.max(now < 0 ? 0 : now + by, 0), list.length - 1)];
    };
    let next = null;
    if (event.key === "ArrowRight") next = step(all, 1);
    else if (event.key === "ArrowLeft") next = step(all, -1);
    else if (event.key === "ArrowUp") next = step(byY, 1);
    else if (event.key === "ArrowDown") next = step(byY, -1);
    else if (event.key === "Home") next = all[0];
    else if (event.key === "End") next = all[all.length - 1];
    else if (event.key === "Enter" && at >= 0) { set("selected", { data: where }); event.preventDefault(); return; }
    if (!next) return;
    event.preventDefault();
    where = next.id;
    const text = document.createElement("textarea");
    text.innerHTML = next.name; // entities back to characters; a textarea runs nothing
    find("spoken").textContent = `${text.value}, rated ${next.letter}`;
    if (!pinned()) show(where);
    placeRing();
  }

  /* ---- downloads with progress ---- */
  let zipping = null;
  async function zip() {
    const button = find("zip-button"), words = find("zip-progress");
    if (zipping) { zipping.abort(); return; }
    zipping = new AbortController();
    button.textContent = "Cancel";
    try {
      const answer = await fetch(root() + "labels.zip" + location.search, { signal: zipping.signal });
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
    const say = (message, bad) => set("upload-message", { children: message, className: bad ? "bad" : "good" });
    if (file.size > 131072) { say(`${file.name} is larger than 128 kB: not a file of weights or thresholds.`, true); return; }
    try {
      const name = file.name.replace(/[^\x20-\x7e]/g, "_");
      const answer = await fetch(root() + "check-upload" + location.search, { method: "POST", body: await file.arrayBuffer(), headers: { "X-Name": name } });
      const found = await answer.json();
      if (answer.ok) {
        if (found.weights !== null) set("weights", { data: found.weights });
        if (found.thresholds !== null) set("thresholds", { data: found.thresholds });
      }
      say(found.message, !answer.ok);
    } catch (error) {
      say(`The file could not be checked: ${error.message}. Nothing was changed.`, true);
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

  /* ---- the table's library comes when it is first looked at ---- */
  let late = null;
  function grid() {
    late = late || new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = document.body.dataset.late;
      script.onload = resolve;
      script.onerror = () => { late = null; reject(new Error("the table could not be loaded")); };
      document.body.appendChild(script);
    });
    return late;
  }
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

  /* ---- the first picture comes first: Plotly and the plot, then everything else ---- */
  function load(source) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = source;
      script.async = false;
      script.onload = resolve;
      script.onerror = () => reject(new Error(source + " could not be loaded"));
      document.head.appendChild(script);
    });
  }
  /* Draw a scatter plot without Plotly: what a visitor sees while that is on its way, half a second at best. Nothing here
     answers to the pointer; Plotly draws the same figure over it. */
  const OUTLINES = { circle: "M1,0A1,1 0 1,1 1,-.01Z", square: "M-.9,-.9H.9V.9H-.9Z", diamond: "M0,-1.25L1.25,0L0,1.25L-1.25,0Z", "triangle-up": "M0,-1.2L1.1,.8H-1.1Z", "triangle-down": "M0,1.2L1.1,-.8H-1.1Z" };
  function preview(gd, figure) {
    const { layout, data } = figure, width = gd.clientWidth, height = gd.clientHeight;
    if (!layout.xaxis || !layout.xaxis.range || !width) return;
    const box = { left: 94, right: width - 16, top: 12, bottom: height - 72 };
    const scale = (axis, from, to) => {
      const [low, high] = axis.range, log = axis.type === "log";
      return (value) => from + ((log ? Math.log10(value) : value) - low) / (high - low) * (to - from);
    };
    const x = scale(layout.xaxis, box.left, box.right), y = scale(layout.yaxis, box.bottom, box.top);
    const paper = { x: (share) => box.left + share * (box.right - box.left), y: (share) => box.bottom + share * (box.top - box.bottom) };
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const add = (name, attributes, text) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      if (text !== undefined) made.textContent = text;
      svg.appendChild(made);
    };
    const clip = (value, a, b) => Math.min(Math.max(value, Math.min(a, b)), Math.max(a, b));
    for (const shape of layout.shapes || []) {
      const [fx, fy] = [shape.xref === "x" ? x : paper.x, shape.yref === "y" ? y : paper.y];
      const [x0, x1] = [fx(shape.x0), fx(shape.x1)].map((v) => clip(v, box.left, box.right)).sort((a, b) => a - b);
      const [y0, y1] = [fy(shape.y0), fy(shape.y1)].map((v) => clip(v, box.top, box.bottom)).sort((a, b) => a - b);
      add("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0, fill: shape.fillcolor, opacity: shape.opacity });
    }
    const ink = layout.font.color, plain = document.createElement("textarea");
    const words = (html) => { plain.innerHTML = html; return plain.value; }; // entities; a textarea runs nothing
    for (const trace of data) {
      if (!trace.customdata) continue;
      const outline = OUTLINES[trace.marker.symbol] || OUTLINES.circle, r = trace.marker.size / 2;
      trace.x.forEach((value, n) => {
        const [px, py] = [x(value), y(trace.y[n])], line = trace.marker.line;
        add("path", { d: outline, class: "point", transform: `translate(${px},${py}) scale(${r})`, fill: trace.marker.color[n], stroke: line.color[n], "stroke-width": line.width[n] / r });
        if (trace.textfont) add("text", { x: px, y: py, dy: ".35em", "text-anchor": "middle", "font-size": trace.textfont.size, fill: trace.textfont.color[n] }, trace.text[n]);
      });
    }
    (layout.xaxis.tickvals || []).forEach((value, n) => add("text", { x: x(value), y: box.bottom + 20, "text-anchor": "middle", "font-size": 13, fill: ink }, layout.xaxis.ticktext[n]));
    (layout.yaxis.tickvals || []).forEach((value, n) => add("text", { x: box.left - 10, y: y(value) + 4, "text-anchor": "end", "font-size": 13, fill: ink }, layout.yaxis.ticktext[n]));
    add("text", { x: (box.left + box.right) / 2, y: height - 22, "text-anchor": "middle", "font-size": 16, fill: ink }, words(layout.xaxis.title.text));
    add("text", { transform: `translate(26,${(box.top + box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle", "font-size": 16, fill: ink }, words(layout.yaxis.title.text));
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    svg.setAttribute("class", "preview");
    gd.replaceChildren(svg);
  }
  async function begin() {
    const then = [...find("then").content.querySelectorAll("script[src]")].map((each) => each.getAttribute("src"));
    const early = find("graph");
    if (early) {
      try {
        const library = load(document.body.dataset.plotly);
        await scatter(location.search, wanted());
        await library;
        if (figures.graph) { early.replaceChildren(); await drawScatter(); }
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
      } catch (error) { lost(true); }
    }
    await Promise.all(then.map(load));
    window.renderer = new window.DashRenderer();
    if (early) settle();
  }
  /* When Dash has made the page, the plot moves from the waiting page to its place there. */
  function settle() {
    const place = find("plot");
    if (!place) { new MutationObserver((_, watch) => { if (find("plot")) { watch.disconnect(); settle(); } }).observe(find("react-entry-point"), { childList: true, subtree: true }); return; }
    const gd = find("graph");
    place.insertBefore(gd, place.firstChild);
    find("early").remove();
    document.body.classList.remove("waiting");
    if (window.Plotly && gd.data) window.Plotly.Plots.resize(gd);
    if (matchMedia("(max-width: 760px)").matches) document.querySelectorAll("#controls details").forEach((each) => { each.open = false; });
  }

  /* ---- clicks on plain buttons ---- */
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const shown = shownId;
    if (button.id === "theme-button") {
      const next = document.documentElement.getAttribute("data-mantine-color-scheme") === "dark" ? "light" : "dark";
      try { localStorage.setItem("elex-theme", next); } catch (error) { /* it lasts for this visit then */ }
      set("theme", { data: next });
    } else if (button.id === "share-button") share();
    else if (button.id === "zip-button") zip();
    else if (button.id === "upload-button") chooseFile();
    else if (button.id === "unpin-button") set("selected", { data: "" });
    else if (button.id === "compare-button" && shown) {
      const now = new URLSearchParams(location.search).getAll("c");
      set("compared", { data: now.includes(shown) ? now.filter((id) => id !== shown) : [...now, shown].slice(-4) });
    } else if (button.dataset.uncompare) {
      set("compared", { data: new URLSearchParams(location.search).getAll("c").filter((id) => id !== button.dataset.uncompare) });
    } else if (button.id === "quantiles-button") set("thresholds", { data: "quantiles" });
    else if (button.id === "reset-button") {
      set("weights", { data: "" });
      set("thresholds", { data: "" });
      set("upload-message", { children: "" });
      for (const [key, value] of [["r", ""], ["m", null], ["u", null]]) {
        const usual = (window.elexDefaults || {})[key];
        set({ control: key, kind: key === "r" ? "select" : "plain" }, { value: value === null ? usual : value });
      }
    } else if (button.id === "all-environments") set({ control: "e", kind: "checks" }, { value: window.elexEnvironments.slice() });
    else if (button.id === "one-environment") set({ control: "e", kind: "checks" }, { value: window.elexEnvironments.slice(0, 1) });
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest && event.target.closest("#plot")) keyed(event);
  });
  window.addEventListener("resize", () => setTimeout(placeRing, 300));

  /* A label's QR code leads here with the digest of its result: #sha256=... */
  function fromLabel() {
    const found = /^#sha256=([0-9a-f]{16})/.exec(location.hash);
    if (!found || new URLSearchParams(location.search).get("i")) return null;
    return found[1];
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.elex = {
    async applyState(search, values, options) {
      const ids = context().outputs_list[0], selects = context().outputs_list[1];
      const fallback = [values.map(still), selects.map(still), ...many(10)];
      const found = await get("state", search, [...FIGURE, "tab", "i", "c", "n"]);
      // Somebody moved a control while the answer was on its way: the next answer counts.
      if (!found || (location.search || "") !== (search || "")) return fallback;
      window.elexDefaults = found.defaults;
      window.elexEnvironments = found.names;
      const labelled = fromLabel();
      if (labelled) history.replaceState(null, "", location.pathname + location.search);
      // A select forgets a value that its options do not have: new options first, their values a moment later.
      const changed = new Set(selects.filter((each, n) => !same(found.options[each.id.control], options[n])).map((each) => each.id.control));
      const data = selects.map((each) => changed.has(each.id.control) ? found.options[each.id.control] : still());
      const fresh = ids.map((each, n) => {
        const value = found.values[each.id.control];
        if (changed.has(each.id.control)) { setTimeout(() => set(each.id, { value }), 50); return still(); }
        return same(value, values[n]) ? still() : value;
      });
      const notices = found.notices.map((said) => element("Li", said));
      return [fresh, data, found.defaults, found.values.w, found.values.h, labelled || found.values.i, found.values.c, found.summary, found.rating, notices, found.environments, found.example];
    },
    compose(values, weights, thresholds, selected, compared, defaults, search) {
      if (!defaults) return still();
      const now = { w: weights || "", h: thresholds || "", i: selected || "", c: compared || [] };
      context().inputs_list[0].forEach((each, n) => { now[each.id.control] = values[n]; });
      const query = new URLSearchParams();
      for (const key of Object.keys(defaults)) {
        let value = now[key];
        if (value === undefined || value === null) value = defaults[key];
        // Lists mean sets: only environments have an order.
        const usual = defaults[key], equal = Array.isArray(value) && key !== "e" ? same([...value].sort(), [...usual].sort()) : same(value, usual);
        if (equal) continue;
        if (Array.isArray(value)) value.length ? value.forEach((each) => query.append(key, each)) : query.append(key, NONE);
        else query.append(key, value);
      }
      // Another task or data set has its own environments and metrics.
      const was = new URLSearchParams(search || "");
      const moved = PLACE.some((key) => (was.get(key) || defaults[key]) !== (query.get(key) || defaults[key]));
      if (moved) for (const key of ["e", "x", "y", "l", "i"]) query.delete(key);
      if ((was.get("t") || defaults.t) !== (query.get("t") || defaults.t)) query.delete("d");
      const text = query.toString();
      const next = text ? "?" + text : "";
      if (next === new URLSearchParams(search || "").toString().replace(/^(?=.)/, "?")) return still();
      return next;
    },
    drawScatter(search, theme, tab) {
      return tab === "scatter" && theme ? scatter(search, theme) : still();
    },
    async drawFigures(search, theme, tab) {
      if (!["ratings", "metrics"].includes(tab) || !theme) return still();
      const found = await get(tab, search, FIGURE, { theme });
      if (found) draw(tab + "-graph", found.figure);
      return found && found.words ? found.words : still();
    },
    async drawTable(search, theme, tab) {
      const link = root() + "table.csv" + (search || "");
      if (tab !== "table" || !theme) return [still(), link];
      const [found] = await Promise.all([get("table", search, FIGURE), grid()]);
      if (!found) return [still(), link];
      const table = {
        namespace: "dash_ag_grid",
        type: "AgGrid",
        props: {
          id: "grid",
          rowData: found.rows,
          columnDefs: found.columns,
          getRowId: "params.data.id",
          defaultColDef: { sortable: true, filter: true, resizable: true },
          dashGridOptions: { theme: { function: theme === "dark" ? "themeQuartz.withPart(colorSchemeDark)" : "themeQuartz" }, rowSelection: { mode: "singleRow", checkboxes: false, enableClickSelection: true }, animateRows: false, tooltipShowDelay: 300 },
          style: { height: "min(70vh, 640px)" },
        },
      };
      return [table, link];
    },
    async drawComparison(search, theme, tab) {
      if (tab !== "compare" || !theme) return many(3);
      const found = await get("compare", search, [...FIGURE, "c"], { theme });
      if (!found) return many(3);
      find("compare-graph").hidden = !found.figure;
      draw("compare-graph", found.figure);
      const names = found.labels.map((each) => element("Button", each.name + "  ✕", { className: "button chip", type: "button", "data-uncompare": each.id, title: "take out of the comparison" }));
      const labels = found.labels.length > 1 ? found.labels.map((each) => element("Img", null, { src: address(`label/${each.id}.svg`, search, RATING, { variant: "compact" }), alt: "Energy label of " + each.name, width: "260", height: "364" })) : [];
      return [found.children, names, labels];
    },
    async drawTime(search, theme, tab) {
      if (tab !== "time" || !theme) return [still(), still(), true];
      const found = await get("time", search, [...FIGURE, "n"], { theme });
      if (!found) return many(3);
      find("time-graph").hidden = !found.figure;
      draw("time-graph", found.figure, CONFIG);
      if (!found.runs.length) return [[], "There is no experiment folder with traces here. Start the page with --directory experiments, or the folder of a run.", true];
      set({ control: "n", kind: "trace" }, { placeholder: found.name });
      const words = [found.live ? "This run is going on: the picture follows it." : "", ...found.remarks].filter(Boolean).join(" ");
      return [found.runs, words, !found.live];
    },
    chosen(selected, example) {
      if (selected) { if (selected !== shownId) show(selected); }
      else if (example && !points().some((each) => each.id === shownId)) show(example);
      find("panel").classList.toggle("pinned", Boolean(selected));
      find("unpin-button").disabled = !selected;
      return selected ? "kept" : "click to keep";
    },
    async showModel(shown, search, theme) {
      if (!shown || !theme) return still();
      const image = find("label"), source = address(`label/${shown}.svg`, search, RATING);
      if (image.getAttribute("src") !== source) image.src = source;
      for (const format of ["pdf", "svg", "png"]) find("label-" + format).href = address(`label/${shown}.${format}`, search, RATING, { download: "1" });
      find("summary-link").href = address(`summary/${shown}.json`, search, RATING);
      find("log-link").href = address(`log/${shown}.json`, search, []);
      const query = new URLSearchParams(search || "");
      query.set("i", shown);
      const found = await get("facts", query.toString(), [...PLACE, ...RATING, "i"], { theme });
      if (!found || shownId !== shown) return still();
      image.alt = found.alt || "";
      find("profile").hidden = !found.figure;
      draw("profile", found.figure);
      return found.children;
    },
    picked(rows) {
      const id = rows && rows.length ? rows[0].id : "";
      if (id) show(id);
      return id || still();
    },
    themed(theme) {
      if (!theme) { setTimeout(() => set("theme", { data: wanted() }), 0); return still(); }
      const button = find("theme-button");
      if (button) button.textContent = theme === "dark" ? "Light" : "Dark";
      return theme;
    },
    open(clicks) {
      return clicks ? true : still();
    },
    async showTuning(search, opened) {
      const link = (name) => { const a = find(name + "-link"); if (a) a.href = root() + name + ".json" + (search || ""); };
      link("weights"); link("thresholds");
      if (!opened) return many(2);
      const found = await get("tuning", search, FIGURE);
      return found ? [found.children, found.current] : many(2);
    },
    tuned(weights, numbers, sliders, current, weightText, thresholdText) {
      const by = context().triggered || [];
      if (!current || by.length !== 1) return many(3); // the controls were just made
      const id = JSON.parse(by[0].prop_id.slice(0, by[0].prop_id.lastIndexOf(".")));
      const now = current[id.metric];
      if (!now) return many(3);
      if (id.tune === "weight") {
        const value = by[0].value;
        if (typeof value !== "number" || value === now.weight) return many(3);
        return [replaced(weightText, encodeURIComponent(id.metric), value === now.usual ? null : String(value)), still(), ""];
      }
      let four = now.thresholds.slice();
      if (id.tune === "slider") {
        const moved = [...by[0].value].sort((a, b) => b - a);
        four = four.map((value, n) => Math.abs(moved[n] - value) <= now.step * 0.75 ? value : Number(moved[n].toPrecision(4)));
      } else {
        if (typeof by[0].value !== "number") return many(3);
        if (by[0].value === now.shown[id.number]) return many(3);
        four[id.number] = by[0].value;
      }
      if (same(four, now.thresholds)) return many(3);
      if (four.some((value, n) => n && value > four[n - 1])) return [still(), still(), `Thresholds must fall from A to D: ${four.join(", ")} do not. Nothing was changed.`];
      const [kind, rest] = /^(reference|best)~/.test(thresholdText) ? [now.kind, thresholdText.slice(thresholdText.indexOf("~") + 1)] : [now.kind, ""];
      const base = thresholdText === "quantiles" ? now.all : rest;
      return [still(), kind + "~" + replaced(base, `${encodeURIComponent(id.task)}~${encodeURIComponent(id.metric)}`, four.join("/")), ""];
    },
  };
  /* Put `key:value` in place of what a list `key:value,...` says of the key; null takes it out. */
  function replaced(text, key, value) {
    const parts = (text || "").split(",").filter((part) => part && !part.startsWith(key + ":"));
    if (value !== null) parts.push(key + ":" + value);
    return parts.join(",");
  }
  begin();
})();

/* The plots: Plotly's figures, the first picture before Plotly is there, the ring around a model, and the keys. */
"use strict";
(function (elex) {
  const { find, FIGURE } = elex;
  const CONFIG = { displaylogo: false, responsive: true, displayModeBar: matchMedia("(hover: none)").matches ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const STILL = { displayModeBar: false, responsive: true };
  let figure = null; // of the scatter plot
  elex.shown = ""; // the model in the panel
  let at = ""; // the model that the keys are at
  const plot = () => find("graph");

  elex.draw = async function (id, drawn, moving) {
    const gd = find(id);
    if (!gd || !drawn || !window.Plotly) return;
    gd.hidden = false;
    gd.style.height = drawn.layout.height ? drawn.layout.height + "px" : "";
    for (const axis of ["xaxis", "yaxis"]) {
      const title = (drawn.layout[axis] || {}).title;
      if (title && gd.clientWidth < 520) title.text = title.text.replace(" (", "<br>(");
    }
    await window.Plotly.react(gd, drawn.data, drawn.layout, moving ? CONFIG : STILL);
    if (gd.watched) return;
    // A plot that is drawn while its tab is hidden has some width; its own comes when it is seen.
    gd.watched = new ResizeObserver(() => {
      if (gd.clientWidth && gd._fullLayout && gd._fullLayout.width !== gd.clientWidth) window.Plotly.Plots.resize(gd);
    });
    gd.watched.observe(gd);
  };
  elex.scatter = (search, theme) => elex.part("scatter", search, FIGURE, { theme }, async (found) => {
    figure = found.figure;
    if (find("plot-words")) find("plot-words").textContent = found.words;
    if (window.Plotly) await elex.drawScatter();
    else preview(plot(), figure);
  });
  elex.drawScatter = async function () {
    const gd = plot();
    if (!figure || !gd) return;
    if (gd.querySelector(".preview")) gd.replaceChildren();
    await elex.draw("graph", figure, true);
    if (!gd.listening) {
      gd.listening = true;
      const idOf = (event) => (event.points.find((each) => each.customdata) || { customdata: [""] }).customdata[0];
      gd.on("plotly_hover", (event) => { if (!elex.now.i && idOf(event)) elex.show(idOf(event), true); });
      gd.on("plotly_click", (event) => { if (idOf(event)) elex.change({ i: idOf(event) }); });
      gd.on("plotly_afterplot", placeRing);
    }
    placeRing();
  };

  function points() {
    const gd = plot(), found = [];
    if (!gd || !gd._fullLayout) return found;
    (gd.data || []).forEach((trace, t) => (trace.customdata || []).forEach((data, n) => {
      if (trace.x[n] !== null && trace.y[n] !== null) found.push({ id: data[0], t, n, x: trace.x[n], y: trace.y[n], name: data[1], letter: trace.text[n] });
    }));
    return found;
  }
  function placeRing() {
    const ring = find("ring"), gd = plot();
    if (!ring) return;
    const ringed = document.activeElement === find("plot") && at ? at : elex.shown;
    const point = ringed && gd ? points().find((p) => p.id === ringed) : null;
    if (!point || !gd._fullLayout || !gd._fullLayout.xaxis) { ring.style.display = "none"; return; }
    const { xaxis, yaxis } = gd._fullLayout;
    const left = xaxis._offset + xaxis.d2p(point.x), top = yaxis._offset + yaxis.d2p(point.y);
    const inside = left >= xaxis._offset && left <= xaxis._offset + xaxis._length && top >= yaxis._offset && top <= yaxis._offset + yaxis._length;
    ring.style.display = inside ? "block" : "none";
    ring.style.transform = `translate(${left}px, ${top}px)`;
  }
  function keyed(event) {
    if (event.key === "Escape") { elex.change({ i: "" }); return; }
    const all = points().sort((a, b) => a.x - b.x || a.y - b.y);
    if (!all.length) return;
    const step = (list, by) => {
      const now = list.findIndex((each) => each.id === at);
      return list[Math.min(Math.max(now < 0 ? 0 : now + by, 0), list.length - 1)];
    };
    const byHeight = [...all].sort((a, b) => a.y - b.y || a.x - b.x);
    const moves = {
      ArrowRight: () => step(all, 1),
      ArrowLeft: () => step(all, -1),
      ArrowUp: () => step(byHeight, 1),
      ArrowDown: () => step(byHeight, -1),
      Home: () => all[0],
      End: () => all[all.length - 1],
    };
    if (event.key === "Enter" && all.some((each) => each.id === at)) { event.preventDefault(); elex.change({ i: at }); return; }
    if (!moves[event.key]) return;
    event.preventDefault();
    const next = moves[event.key]();
    at = next.id;
    find("spoken").textContent = `${plain(next.name)}, rated ${next.letter}`;
    if (!elex.now.i) elex.show(at);
    placeRing();
  }
  /* Names come with entities, as Plotly reads them; a textarea turns them back and runs nothing. */
  function plain(html) {
    const text = document.createElement("textarea");
    text.innerHTML = html;
    return text.value;
  }
  /* Draw a scatter plot without Plotly: what a visitor sees while that is on its way, half a second at best. Nothing here
     answers to the pointer; Plotly draws the same figure over it. */
  const OUTLINES = {
    circle: "M1,0A1,1 0 1,1 1,-.01Z", square: "M-.9,-.9H.9V.9H-.9Z", diamond: "M0,-1.25L1.25,0L0,1.25L-1.25,0Z",
    "triangle-up": "M0,-1.2L1.1,.8H-1.1Z", "triangle-down": "M0,1.2L1.1,-.8H-1.1Z",
  };
  function preview(gd, drawn) {
    const { layout, data } = drawn, width = gd.clientWidth, height = gd.clientHeight;
    if (!layout.xaxis || !layout.xaxis.range || !width) return;
    const canvas = document.createElement("canvas"), ink = canvas.getContext("2d"), dense = window.devicePixelRatio || 1;
    Object.assign(canvas, { className: "preview", width: width * dense, height: height * dense });
    Object.assign(canvas.style, { width: width + "px", height: height + "px" });
    ink.scale(dense, dense);
    const box = { left: 94, right: width - 16, top: 12, bottom: height - 72 };
    const scale = (axis, from, to) => {
      const [low, high] = axis.range, log = axis.type === "log";
      return (value) => from + ((log ? Math.log10(value) : value) - low) / (high - low) * (to - from);
    };
    const x = scale(layout.xaxis, box.left, box.right), y = scale(layout.yaxis, box.bottom, box.top);
    const clip = (value, a, b) => Math.min(Math.max(value, a), b);
    for (const shape of layout.shapes || []) {
      const fx = shape.xsizemode === "pixel" ? (pixels) => box.left + pixels : shape.xref === "x" ? x : (share) => box.left + share * (box.right - box.left);
      const fy = shape.ysizemode === "pixel" ? (pixels) => box.bottom - pixels : shape.yref === "y" ? y : (share) => box.bottom + share * (box.top - box.bottom);
      const [x0, x1] = [shape.x0, shape.x1].map((value) => clip(fx(value), box.left, box.right));
      const [y0, y1] = [shape.y0, shape.y1].map((value) => clip(fy(value), box.top, box.bottom));
      ink.globalAlpha = shape.opacity;
      ink.fillStyle = shape.fillcolor;
      ink.fillRect(x0, y0, x1 - x0, y1 - y0);
    }
    ink.globalAlpha = 1;
    const write = (text, left, top, size, align, colour, weight) => {
      ink.font = `${weight || ""} ${size}px ${layout.font.family}`;
      Object.assign(ink, { textAlign: align, textBaseline: "middle", fillStyle: colour });
      ink.fillText(text, left, top);
    };
    for (const trace of data) {
      if (!trace.customdata) continue;
      const size = trace.marker.size / 2, outline = new Path2D();
      outline.addPath(new Path2D(OUTLINES[trace.marker.symbol] || OUTLINES.circle), new DOMMatrix().scale(size));
      trace.x.forEach((value, n) => {
        const place = ink.getTransform(), line = trace.marker.line;
        ink.translate(x(value), y(trace.y[n]));
        Object.assign(ink, { fillStyle: trace.marker.color[n], strokeStyle: line.color[n], lineWidth: line.width[n] });
        ink.fill(outline);
        ink.stroke(outline);
        if (trace.textfont) write(trace.text[n], 0, 1, trace.textfont.size, "center", trace.textfont.color[n]);
        ink.setTransform(place);
      });
    }
    const colour = layout.font.color;
    (layout.xaxis.tickvals || []).forEach((value, n) => write(layout.xaxis.ticktext[n], x(value), box.bottom + 16, 13, "center", colour));
    (layout.yaxis.tickvals || []).forEach((value, n) => write(layout.yaxis.ticktext[n], box.left - 10, y(value), 13, "right", colour));
    write(plain(layout.xaxis.title.text), (box.left + box.right) / 2, height - 26, 16, "center", colour);
    ink.translate(26, (box.top + box.bottom) / 2);
    ink.rotate(-Math.PI / 2);
    write(plain(layout.yaxis.title.text), 0, 0, 16, "center", colour);
    gd.replaceChildren(canvas);
  }
  elex.points = points;
  elex.placeRing = placeRing;
  document.addEventListener("keydown", (event) => { if (event.target.closest && event.target.closest("#plot")) keyed(event); });
  window.addEventListener("resize", () => setTimeout(placeRing, 300));
})(window.elex);

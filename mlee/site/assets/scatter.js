/* A scatter plot of two metrics as SVG: zones of the classes, Pareto front, and a link for each model. */
"use strict";
window.scatter = (() => {
  const LETTERS = "ABCDE", MARGIN = { left: 74, right: 14, top: 10, bottom: 50 }, STRIP = 15, FAR = 1e6, NARROW = 460, SMALL = 5;
  const PREFIXES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
  const plot = document.getElementById("plot"), card = document.getElementById("card");
  let drawn = null;

  function make(name, attributes, parent, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  }

  function html(name, className, parent, text) {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  const digits = (value) => String(Number(value.toPrecision(3)));

  /* A value as it stands at an axis: with an SI prefix where its unit takes one. */
  function written(axis, value) {
    if (axis.plain) return `${digits(value)} ${axis.unit}`;
    if (value === 0) return `0 ${axis.unit}`.trim();
    if (!axis.unit && Math.abs(value) < 1) return digits(value);
    const [factor, prefix] = PREFIXES.find(([each]) => Math.abs(value) >= each * 0.9999999) || PREFIXES.at(-1);
    return `${digits(value / factor)} ${prefix}${axis.unit}`.trim();
  }

  /* An axis on the screen. Large differences are shown on a logarithmic one. */
  function makeScale(axis, values, from, to) {
    let low = Math.min(...values), high = Math.max(...values);
    const log = axis.unit !== "%" && low > 0 && high / low > 4;
    const inner = log ? Math.log10 : (value) => value;
    [low, high] = [inner(low), inner(high)];
    const room = (high - low) * 0.08 || (log ? 0.25 : Math.abs(high) * 0.1 || 1);
    low -= room;
    high += room;
    const place = (value) => {
      const at = log && value <= 0 ? -FAR : (inner(value) - low) / (high - low);
      return from + Math.max(-FAR, Math.min(FAR, at)) * (to - from);
    };
    return { place, log, low, high, ticks: log ? logTicks(low, high) : ticks(low, high), from, to };
  }

  function ticks(low, high) {
    const rough = (high - low) / 8, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.99);
    const found = [];
    for (let n = Math.ceil(low / step); n * step <= high; n += 1) found.push(n * step);
    return found;
  }

  function logTicks(low, high) {
    const span = high - low;
    const steps = span < 0.75 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : span < 1.4 ? [1, 2, 3, 5, 7] : span < 2.6 ? [1, 2, 5] : [1];
    const every = Math.max(1, Math.ceil(span / 8)), found = [];
    for (let power = Math.floor(low); power <= high; power += 1) {
      if (power % every !== 0) continue;
      for (const step of steps) {
        const at = power + Math.log10(step);
        if (at >= low && at <= high) found.push(step * 10 ** power);
      }
    }
    return found;
  }

  /* Stretches of an axis and the number of their class, 0 for A; empty where there are no thresholds. */
  function bands(axis, scale) {
    if (!axis.thresholds || axis.reference === null) return [];
    const ends = axis.thresholds.map((each) => {
      const value = axis.higher ? each * axis.reference : each > 0 ? axis.reference / each : Infinity;
      return scale.place(value * axis.factor);
    });
    const better = axis.higher === scale.to > scale.from ? FAR : -FAR;
    const edges = [better, ...ends, -better], shown = [scale.from, scale.to].sort((a, b) => a - b);
    const inside = (value) => Math.max(shown[0], Math.min(shown[1], value));
    return [...LETTERS].map((_, n) => {
      const [start, end] = [inside(edges[n]), inside(edges[n + 1])].sort((a, b) => a - b);
      return { start, end, number: n };
    }).filter((band) => band.end - band.start > 0.01);
  }

  function zones(svg, x, y, box) {
    const across = bands(x.axis, x.scale), up = bands(y.axis, y.scale);
    const rect = (from, to, low, high, number, name) =>
      make("rect", { x: from, y: low, width: to - from, height: high - low, class: `${name} z${LETTERS[number]}` }, svg);
    const whole = (start, end) => [{ start, end, number: null }];
    for (const column of across.length ? across : whole(box.left, box.right)) {
      for (const row of up.length ? up : whole(box.top, box.bottom)) {
        const known = [column.number, row.number].filter((each) => each !== null);
        if (!known.length) continue;
        const worse = Math.ceil(known.reduce((a, b) => a + b) / known.length);
        rect(column.start, column.end, row.start, row.end, worse, "zone");
      }
    }
    return () => {
      for (const { start, end, number } of across) {
        rect(start, end, box.bottom - STRIP, box.bottom, number, "strip");
        letter((start + end) / 2, box.bottom - STRIP / 2, number, end - start);
      }
      for (const { start, end, number } of up) {
        rect(box.left, box.left + STRIP, start, end, number, "strip");
        letter(box.left + STRIP / 2, (start + end) / 2, number, end - start);
      }
    };
    function letter(at, down, number, room) {
      if (room > 13) make("text", { x: at, y: down, class: `strip-letter z${LETTERS[number]}` }, svg, LETTERS[number]);
    }
  }

  function axes(svg, x, y, box) {
    let last = -FAR;
    for (const value of x.scale.ticks) {
      const at = x.scale.place(value), text = written(x.axis, value);
      make("line", { x1: at, x2: at, y1: box.top, y2: box.bottom, class: "grid" }, svg);
      if (at - last < text.length * 7 + 10) continue;
      last = at;
      make("text", { x: at, y: box.bottom + 18, class: "tick", "text-anchor": "middle" }, svg, text);
    }
    for (const value of y.scale.ticks) {
      const at = y.scale.place(value);
      make("line", { x1: box.left, x2: box.right, y1: at, y2: at, class: "grid" }, svg);
      make("text", { x: box.left - 8, y: at, dy: "0.35em", class: "tick", "text-anchor": "end" }, svg, written(y.axis, value));
    }
    const middle = [(box.left + box.right) / 2, (box.top + box.bottom) / 2], short = svg.clientWidth < NARROW;
    make("text", { x: middle[0], y: box.bottom + 42, class: "title", "text-anchor": "middle" }, svg, title(x.axis, short));
    const turned = `translate(13 ${middle[1]}) rotate(-90)`;
    make("text", { transform: turned, class: "title", "text-anchor": "middle" }, svg, title(y.axis, short));
  }

  function title(axis, short) {
    const label = short ? axis.label.replace(" (extrapolated)", "") : axis.label;
    return `${label} (${axis.higher ? "more" : "less"} is better)`;
  }

  /* The points that no other beats on both axes, from left to right. */
  function front(points, x, y) {
    const cost = (axis, value) => (axis.higher ? -value : value);
    const order = [...points].sort((a, b) => cost(x, a.x) - cost(x, b.x) || cost(y, a.y) - cost(y, b.y));
    let best = Infinity;
    return order.filter((point) => cost(y, point.y) < best && ((best = cost(y, point.y)), true)).sort((a, b) => a.x - b.x);
  }

  function drawFront(svg, found, x) {
    const steps = found.map((point, n) => {
      if (!n) return `M${point.left} ${point.top}`;
      return x.higher ? `V${point.top}H${point.left}` : `H${point.left}V${point.top}`;
    });
    make("path", { d: steps.join(""), class: "front" }, svg);
  }

  /* Names of the models at the front and of the reference, where there is room for them. */
  function names(svg, chosen, points, box, reference) {
    const taken = points.map((point) => [point.left - 11, point.top - 10, point.left + 11, point.top + 10]);
    const meets = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
    for (const point of chosen) {
      const text = point.name.length > 22 ? `${point.name.slice(0, 21)}…` : point.name;
      const label = make("text", { class: "name", x: 0, y: 0 }, svg, text), width = label.getComputedTextLength();
      const aside = point.name === reference ? 20 : 14;
      const places = [[aside, 0], [-aside - width, 0], [-width / 2, -aside - 6], [-width / 2, aside + 6]];
      const free = places.map(([right, down]) => [point.left + right, point.top + down]).find(([left, top]) => {
        const room = [left, top - 8, left + width, top + 8];
        if (left < box.left + STRIP || left + width > box.right || top < box.top + 8 || top > box.bottom - STRIP - 8) return false;
        return !taken.some((each) => meets(each, room)) && taken.push(room);
      });
      if (!free) label.remove();
      else { label.setAttribute("x", free[0]); label.setAttribute("y", free[1]); }
    }
  }

  function drawPoint(svg, view, point, radius) {
    const said = [point.class ? `rated ${point.class}` : "not rated"];
    view.axes.forEach((axis, n) => { if (point.values[n] !== null) said.push(`${axis.label} ${point.texts[n]}`); });
    const link = make("a", { href: point.page, "aria-label": `${point.name}, ${said.join(", ")}` }, svg);
    link.setAttribute("class", `z${point.class || "0"}${point.hollow ? " open" : ""}`);
    const at = { cx: point.left, cy: point.top };
    make("circle", { ...at, r: radius + 5, class: "halo" }, link);
    if (point.name === view.reference) make("circle", { ...at, r: radius + 5, class: "ring" }, link);
    make("circle", { ...at, r: point.hollow ? radius - 1.5 : radius, class: "dot" }, link);
    if (radius > SMALL) make("text", { x: point.left, y: point.top, class: "letter" }, link, point.class || "?");
    link.addEventListener("pointerenter", (event) => { if (event.pointerType !== "touch") show(point, link, false); });
    link.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") hide(); });
    link.addEventListener("focus", () => { if (link.matches(":focus-visible")) show(point, link, false); });
    link.addEventListener("blur", () => { if (!card.classList.contains("touched")) hide(); });
    link.addEventListener("click", (event) => {
      if (event.pointerType !== "touch" || (drawn.near === point && !card.hidden)) return;
      event.preventDefault(); // a finger covers what it touches: it shows first, and opens then
      show(point, link, true);
    });
    point.link = link;
  }

  /* The small card of a point, beside it. */
  function show(point, link, touched) {
    hide();
    const { view, x, y, width, height } = drawn;
    drawn.near = point;
    link.classList.add("near");
    card.replaceChildren();
    const who = html("p", "who", card);
    html("span", `badge c${point.class || "0"}`, who, point.class || "–");
    html("span", "", who, point.name);
    const list = html("dl", "", card);
    view.axes.forEach((axis, n) => {
      if (point.values[n] === null) return;
      const chosen = n === x || n === y ? "chosen" : "";
      html("dt", chosen, list, axis.label.replace(" (extrapolated)", ""));
      html("dd", chosen, list, point.texts[n]);
      const rating = point.classes[n];
      html("dd", "", list).append(rating === "-" ? "" : html("b", `chip c${rating}`, list, rating));
    });
    if (touched) html("a", "", card, "Label and all values").href = point.page;
    card.classList.toggle("touched", touched);
    card.hidden = false;
    const left = point.left + 22 + card.offsetWidth < width ? point.left + 22 : point.left - 22 - card.offsetWidth;
    const beside = left >= 0;
    const top = beside ? point.top - card.offsetHeight / 2 : point.top + 24;
    card.style.left = `${beside ? left : Math.max(4, Math.min(width - card.offsetWidth - 4, point.left - card.offsetWidth / 2))}px`;
    const above = point.top - 24 - card.offsetHeight;
    card.style.top = `${!beside && top + card.offsetHeight > height && above > 0 ? above : Math.max(4, Math.min(top, height - card.offsetHeight - 4))}px`;
  }

  function hide() {
    card.hidden = true;
    if (!drawn) return;
    if (drawn.near) drawn.near.link.classList.remove("near");
    drawn.near = null;
  }

  /* Draw a view with the metrics number x and y; returns how many models lack one of them. */
  function draw(view, x, y) {
    hide();
    plot.replaceChildren();
    const width = plot.clientWidth, height = plot.clientHeight;
    const box = { left: width < NARROW ? MARGIN.left - 14 : MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
    const horizontal = view.axes[x], vertical = view.axes[y];
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "group" }, plot);
    svg.setAttribute("aria-label", `${horizontal.label} and ${vertical.label} of ${view.work}, ${view.environment}`);
    const points = view.points.filter((each) => each.values[x] !== null && each.values[y] !== null)
      .map((each) => ({ ...each, x: each.values[x] * horizontal.factor, y: each.values[y] * vertical.factor }));
    drawn = { view, x, y, width, height, near: null, points };
    if (!points.length) {
      make("text", { x: width / 2, y: height / 2, class: "empty" }, svg, "No model here has both metrics.");
      return view.points.length;
    }
    const xs = { axis: horizontal, scale: makeScale(horizontal, points.map((each) => each.x), box.left + STRIP, box.right) };
    const ys = { axis: vertical, scale: makeScale(vertical, points.map((each) => each.y), box.bottom - STRIP, box.top) };
    for (const point of points) {
      point.left = Math.round(xs.scale.place(point.x) * 10) / 10;
      point.top = Math.round(ys.scale.place(point.y) * 10) / 10;
    }
    const strips = zones(svg, xs, ys, box);
    axes(svg, xs, ys, box);
    strips();
    const best = front(points, horizontal, vertical);
    drawFront(svg, best, horizontal);
    const reference = points.filter((each) => each.name === view.reference);
    const radius = points.length <= 80 ? 10 : points.length <= 250 ? 8.5 : SMALL;
    names(svg, new Set([...reference, ...best]), points, box, view.reference);
    points.sort((a, b) => a.left - b.left || a.top - b.top).forEach((point) => drawPoint(svg, view, point, radius));
    return view.points.length - points.length;
  }

  plot.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step || !drawn) return;
    const links = drawn.points.map((point) => point.link), at = links.indexOf(document.activeElement);
    const next = links[at + step];
    if (at < 0 || !next) return;
    event.preventDefault();
    next.focus();
  });
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest("#plot a, #card")) hide(); });
  return { draw };
})();

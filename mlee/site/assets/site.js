/* The first page: its plot follows the controls, its tables are sorted and filtered. What is chosen stands in the address. */
"use strict";
(() => {
  const views = window.mlee, find = (id) => document.getElementById(id);
  const chooser = find("view"), axes = { x: find("x"), y: find("y") };
  let wanted = [];

  function fill(select, view, chosen) {
    select.replaceChildren(...view.axes.map((axis, number) => new Option(axis.label, number, false, number === chosen)));
  }

  /* Keep the metrics that were chosen, where this view has them too. */
  function choose() {
    const view = views[chooser.value];
    ["x", "y"].forEach((which, n) => {
      const same = view.axes.findIndex((axis) => axis.label === wanted[n]);
      fill(axes[which], view, same >= 0 ? same : view.start[n]);
    });
    draw();
  }

  function draw() {
    const view = views[chooser.value], missing = window.scatter.draw(view, Number(axes.x.value), Number(axes.y.value));
    const count = view.points.length;
    find("shown").textContent = `${count} ${count === 1 ? "model" : "models"}: ${view.work}, ${view.environment}`;
    find("missing").textContent = missing ? `(${missing} without a value of both metrics)` : "";
    const ringed = view.points.some((point) => point.name === view.reference);
    find("reference").textContent = ringed ? `${view.reference} (ringed)` : view.reference || "a reference model";
  }

  function remember() {
    wanted = [axes.x, axes.y].map((select) => select.selectedOptions[0].text);
    const view = views[chooser.value];
    const words = new URLSearchParams({ v: `${view.work}, ${view.environment}`, x: wanted[0], y: wanted[1] });
    location.replace(`#${words}`);
  }

  function recall() {
    const words = new URLSearchParams(location.hash.slice(1));
    const known = views.findIndex((view) => `${view.work}, ${view.environment}` === words.get("v"));
    chooser.value = Math.max(known, 0);
    wanted = [words.get("x"), words.get("y")];
  }

  /* Tables */
  const rows = [...document.querySelectorAll(".models tbody tr")];
  const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
  const known = rows.map((row) => ({
    row,
    model: plain(row.cells[1].textContent),
    environment: row.cells[row.cells.length - 1].textContent.trim(),
    rating: row.cells[0].textContent[0],
  }));

  function filter() {
    const words = find("words").value.split(/[,;\s]+/).map(plain).filter(Boolean), where = find("where").value;
    const rating = find("class").value;
    let count = 0;
    for (const { row, model, environment, rating: own } of known) {
      const fits = (!words.length || words.some((word) => model.includes(word))) &&
        (!where || environment === where) && (!rating || own === rating);
      row.hidden = !fits;
      count += fits;
    }
    for (const work of document.querySelectorAll(".work")) work.hidden = !work.querySelector("tbody tr:not([hidden])");
    find("none").hidden = count > 0;
    find("count").textContent = `${count} of ${rows.length} results`;
  }

  function value(row, column) {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    return cell.classList.contains("n") ? null : cell.textContent.toLowerCase();
  }

  /* Sort by a column; what has no value comes last both ways. */
  function sort(head, column) {
    const table = head.closest("table"), down = head.getAttribute("aria-sort") === "ascending";
    for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0], sign = down ? -1 : 1;
    const sorted = [...body.rows].map((row) => [value(row, column), row]).sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
    });
    body.append(...sorted.map(([, row]) => row));
  }

  for (const head of document.querySelectorAll(".models thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(head, head.cellIndex));
  }
  const form = document.querySelector(".filters");
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());

  chooser.addEventListener("change", () => { choose(); remember(); });
  for (const select of [axes.x, axes.y]) select.addEventListener("change", () => { draw(); remember(); });
  let waiting = 0;
  new ResizeObserver(() => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(draw); }).observe(find("plot"));
  recall();
  choose();
  filter();
})();

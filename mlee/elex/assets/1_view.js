/* The view: what a visitor chose, as the page's address holds it, and the parts of the page that the server makes of it.
   Everything here and in the files that follow hangs on one object, `elex`. */
"use strict";
window.elex = (function () {
  const NONE = "-"; // an empty list
  const ALL = "*"; // all environments
  const LONGEST = Number(document.body.dataset.longest); // address that the server reads
  const PLACE = ["t", "d"];
  const RATING = ["r", "m", "u", "w", "h"];
  const FIGURE = ["t", "d", "e", "q", "x", "y", "s", "l", "o", ...RATING];
  const elex = {
    PLACE,
    RATING,
    FIGURE,
    now: {}, // key of the address -> value, as controls and buttons have it
    defaults: null, // key -> value when the address leaves it out; null until the first answer
    find: (id) => document.getElementById(id),
    same: (a, b) => JSON.stringify(a) === JSON.stringify(b),
    set: (id, props) => window.dash_clientside.set_props(id, props),
  };
  elex.root = () => JSON.parse(elex.find("_dash-config").textContent).requests_pathname_prefix;

  /* ---- addresses ---- */
  elex.address = function (path, search, keys, more) {
    const query = new URLSearchParams();
    for (const [key, value] of new URLSearchParams(search)) if (keys.includes(key)) query.append(key, value);
    for (const [key, value] of Object.entries(more || {})) query.append(key, value);
    query.append("v", document.body.dataset.version); // other data have other addresses: answers may be kept
    return elex.root() + path + "?" + query.toString();
  };
  /* Write the view as an address, without what is as usual. */
  elex.compose = function (now, defaults, before) {
    const query = new URLSearchParams();
    for (const key of Object.keys(defaults)) {
      const usual = defaults[key], value = now[key] === undefined || now[key] === null ? usual : now[key];
      const everywhere = key === "e" && elex.same(value, elex.names) && !value.includes(ALL);
      // Lists mean sets; environments alone have an order, which gives them their shapes.
      if (Array.isArray(usual) && key !== "e" ? elex.same([...value].sort(), [...usual].sort()) : elex.same(value, usual)) continue;
      if (!Array.isArray(value)) query.append(key, value);
      else if (everywhere) query.append(key, ALL);
      else if (value.length) value.forEach((each) => query.append(key, each));
      else query.append(key, NONE);
    }
    // Another task or data set has its own environments and metrics.
    const was = new URLSearchParams(before), moved = (key) => (was.get(key) || defaults[key]) !== (query.get(key) || defaults[key]);
    const [task, dataset] = PLACE.map(moved);
    if (task || dataset) ["e", "x", "y", "l", "i"].forEach((key) => query.delete(key));
    if (task) query.delete("d");
    const text = query.toString();
    return text ? "?" + text : "";
  };
  /* Change parts of the view: the address first, then the page. Returns false where no address can hold the change. */
  elex.change = function (parts) {
    const before = elex.now;
    elex.now = { ...before, ...parts };
    if (!elex.defaults) return true;
    const next = elex.compose(elex.now, elex.defaults, location.search);
    if (next.length > LONGEST) {
      elex.now = before;
      elex.refuse(`Nothing was changed: an address takes ${LONGEST} characters, and this view needs ${next.length}.`);
      return false;
    }
    if (next === elex.tidy(location.search)) return true;
    elex.unread = "";
    history.pushState(null, "", location.pathname + next);
    elex.refresh();
    return true;
  };
  /* Write an address as `compose` would. */
  elex.tidy = (search) => { const text = new URLSearchParams(search).toString(); return text ? "?" + text : ""; };

  /* An address that is too long, as it stands there or as it is sent: the usual view, and the page says so (3_page.js). */
  elex.unread = "";
  if (Math.max(location.search.length, elex.tidy(location.search).length) > LONGEST) {
    elex.unread = `The address is longer than ${LONGEST} characters and was not read.`;
    history.replaceState(null, "", location.pathname + location.hash);
  }

  /* ---- parts of the page ---- */
  const underway = {}; // part -> its request: a newer one of the same part ends it
  const latest = {}; // part -> its latest address and the promise of its answer
  elex.lost = (is) => document.body.classList.toggle("lost", is);
  async function get(part, address) {
    if (underway[part]) underway[part].abort();
    const mine = (underway[part] = new AbortController());
    try {
      const answer = await fetch(address, { signal: mine.signal });
      if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
      const found = await answer.json();
      elex.lost(false);
      return underway[part] === mine ? found : null;
    } catch (error) {
      if (error.name !== "AbortError") elex.lost(true);
      return null;
    }
  }
  /* Get a part and use it, once for each address; null where a newer request took its place. `again` asks in any case. */
  elex.part = function (name, search, keys, more, use, again) {
    const address = elex.address("view/" + name, search, keys, more);
    if (again || !latest[name] || latest[name].address !== address) {
      const mine = (latest[name] = { address });
      mine.answer = get(name, address).then(async (found) => {
        if (found && latest[name] === mine) await use(found);
        else if (latest[name] === mine) delete latest[name];
        return found;
      });
    }
    return latest[name].answer;
  };
  return elex;
})();

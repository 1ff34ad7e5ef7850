"""The first page: what the site holds, the plot, and the table of all models."""

from __future__ import annotations

from collections.abc import Sequence

from mlee.assess.metric import Metric
from mlee.assess.rating import BEST, Rated
from mlee.site.entries import Entry
from mlee.site.markup import NOT_RATED, badge, chip, escape, page
from mlee.site.views import grouped, metrics_of

#: File with everything that the pages show.
DATA = "results.csv"
#: Columns of values that a table has.
_COLUMNS = 6
_MEANING = ("clearly better", "better", "about as good", "worse", "clearly worse")


def overview(rated: Rated, entries: Sequence[Entry], title: str, foot: str) -> str:
    """Write the first page."""
    views = grouped(entries)
    body = [_summary(rated, entries), _explorer(views), _tables(rated, entries, views)]
    return page(
        title=title,
        heading=f"<h1>{escape(title)}</h1>",
        body="\n".join(body),
        root="",
        scripts=("data.js", "scatter.js", "site.js"),
        foot=f'<a href="{DATA}" download>All values as a table (CSV)</a> · {foot}',
    )


def _summary(rated: Rated, entries: Sequence[Entry]) -> str:
    works = list(dict.fromkeys(entry.work for entry in entries))
    counts = {
        "results": len(entries),
        "models": len({entry.network for entry in entries}),
        "environments": len({entry.environment for entry in entries}),
    }
    tiles = "".join(f"<li><b>{count}</b> {name if count != 1 else name[:-1]}" for name, count in counts.items())
    options = rated.options
    other = "the best of each metric" if options.reference == BEST else "a reference model"
    return (
        f'<section class="summary" aria-label="What is here"><ul class="counts">{tiles}</ul>'
        f"<p>{escape(_capital(_joined(works)))}. {_provenances(entries)}</p>"
        f'<p class="soft">Each model is compared with {other} in the same environment. '
        f"Rules {escape(options.rules.name)}, mode {escape(options.mode)}, thresholds {escape(rated.thresholds.name)}.</p>"
        "</section>"
    )


def _provenances(entries: Sequence[Entry]) -> str:
    """Count where energies come from."""
    words = {
        "measured": "measured",
        "estimated": "estimated by a model (~, hollow points)",
        "external": "taken from another tool (hollow points)",
    }
    counts = {name: sum(entry.values.get("provenance") == name for entry in entries) for name in words}
    unknown = len(entries) - sum(counts.values())
    said = [f"{count} {words[name]}" for name, count in counts.items() if count]
    said += [f"{unknown} of unknown provenance"] if unknown else []
    return f"Energies: {_joined(said)}."


def _joined(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _explorer(views: dict[tuple[str, str], list[Entry]]) -> str:
    works: dict[str, list[str]] = {}
    for number, (work, environment) in enumerate(views):
        option = f"<option value={number}>{escape(environment)}</option>"
        works.setdefault(work, []).append(option)
    options = "".join(
        f'<optgroup label="{escape(_capital(work))}">{"".join(group)}</optgroup>' for work, group in works.items()
    )
    legend = "".join(
        f'<li><span class="badge c{name}">{name}</span> {said}' for name, said in zip("ABCDE", _MEANING, strict=True)
    )
    return f"""<section class="explorer" aria-labelledby="compare">
<div class="card controls">
<h2 id="compare">Compare models</h2>
<noscript><p class="notice">The plot needs JavaScript; the table below does not.</p></noscript>
<label for="view">Task and environment</label><select id="view">{options}</select>
<label for="x">Horizontal axis</label><select id="x"></select>
<label for="y">Vertical axis</label><select id="y"></select>
</div>
<div class="card view">
<p class="plot-title"><b id="shown"></b> <span class="soft" id="missing" role="status"></span></p>
<div class="frame"><div id="plot"></div><div id="card" hidden></div></div>
<p class="soft hint">Point at a model for its values, open it for its energy label.</p>
</div>
<div class="card reading">
<h3>How to read the plot</h3>
<p>Each point is a model. Its letter is the compound rating, next to
<span id="reference">the reference model</span>:</p>
<ul class="legend">{legend}</ul>
<p class="soft">Coloured ground: the classes of the two metrics. Dotted: the Pareto front, where no model is better on both
axes. Hollow: energy not measured.</p>
</div>
</section>"""


def _tables(rated: Rated, entries: Sequence[Entry], views: dict[tuple[str, str], list[Entry]]) -> str:
    environments = list(dict.fromkeys(environment for _, environment in views))
    options = "".join(f"<option>{escape(name)}</option>" for name in environments)
    classes = "".join(f"<option>{name}</option>" for name in "ABCDE")
    parts = [
        '<section class="card" aria-labelledby="all"><div class="table-head"><h2 id="all">All models</h2>'
        '<form class="filters" role="search" aria-label="Filter the models" hidden>'
        '<label>Model <input type="search" id="words" autocomplete="off" placeholder="name contains …"></label>'
        f'<label>Environment <select id="where"><option value="">all</option>{options}</select></label>'
        f'<label>Rating <select id="class"><option value="">all</option>{classes}</select></label>'
        '<output id="count"></output></form></div>'
    ]
    for number, work in enumerate(dict.fromkeys(entry.work for entry in entries)):
        rows = [entry for (name, _), group in views.items() if name == work for entry in _best_first(rated, group)]
        metrics = metrics_of(rated, rows)[:_COLUMNS]
        parts.append(f'<div class="work"><h3 id="t{number}">{escape(_capital(work))}</h3>')
        parts.append(_table(rated, rows, metrics, f"t{number}"))
        parts.append("</div>")
    parts.append('<p id="none" class="soft" hidden>No model fits.</p></section>')
    return "\n".join(parts)


def _best_first(rated: Rated, rows: Sequence[Entry]) -> list[Entry]:
    def rank(entry: Entry) -> tuple[bool, int, str]:
        rating = int(rated.compound[entry.number])
        return rating < 0, rating, entry.model.casefold()

    return sorted(rows, key=rank)


def _table(rated: Rated, rows: Sequence[Entry], metrics: Sequence[Metric], heading: str) -> str:
    labels = "".join(f"<th scope=col class=n>{escape(metric.label.removesuffix(' (extrapolated)'))}" for metric in metrics)
    head = f"<th scope=col>Rating<th scope=col>Model{labels}<th scope=col>Environment"
    body = "\n".join(_row(rated, entry, metrics) for entry in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-labelledby="{heading}"><table class="models">'
        f"<thead><tr>{head}<tbody>\n{body}</table></div>"
    )


def _row(rated: Rated, entry: Entry, metrics: Sequence[Metric]) -> str:
    rating = int(rated.compound[entry.number])
    link = f'<a href="{entry.file}">{escape(entry.model)}</a>'
    order = rating if rating >= 0 else len(_MEANING)
    cells = "".join(_cell(rated, entry, metric) for metric in metrics)
    return f"<tr><td data-v={order}>{badge(rating)}<th scope=row>{link}{cells}<td>{escape(entry.environment)}"


def _cell(rated: Rated, entry: Entry, metric: Metric) -> str:
    value = entry.value(metric)
    if value is None:
        return f"<td class=n>{NOT_RATED}"
    rating = int(rated.rating[entry.number, rated.position(metric.key)])
    return f"<td class=n data-v={value:.7g}>{escape(entry.text(metric))}{chip(rating)}"

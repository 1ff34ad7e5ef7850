"""What the server answers: parts, labels, downloads and uploads; and that it remembers nothing about anybody."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

import brotli
import pytest
from dash import Dash
from flask.testing import FlaskClient

from mlee.assess.export import to_csv
from mlee.elex import bundles, parts
from mlee.elex.app import create_app
from mlee.elex.data import Explored
from mlee.elex.selection import select
from mlee.elex.state import MAX_ADDRESS, default_view, parse
from mlee.elex.tuning import MAX_UPLOAD_BYTES
from mlee.results.load import load
from tests.elex_data import FORMULA, SCRIPT, write_results
from tests.unit.elex_pages import small


@pytest.fixture(autouse=True)
def _cache_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(bundles, "_compress_later", lambda files: None)


@cache
def app() -> Dash:
    return create_app(small())


@pytest.fixture
def client() -> FlaskClient:
    return app().server.test_client()


def identity(model: str) -> str:
    data = small()
    return next(name for name, row in data.row_of.items() if data.models[row] == model)


def test_the_page_names_its_scripts_and_nothing_of_another_host(client: FlaskClient) -> None:
    answer = client.get("/")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    for name in ("1_view.js", "2_plot.js", "3_page.js", "4_actions.js", "elex.css", "plotly.min.js", "dash_ag_grid"):
        assert name in page
    assert page.index("1_view.js") < page.index("2_plot.js") < page.index("3_page.js") < page.index("4_actions.js")
    assert 'src="http' not in page
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("part", list(parts.PARTS))
def test_a_part_is_what_its_function_says(client: FlaskClient, part: str) -> None:
    search = urlencode([("i", identity("VGG16")), ("c", identity("ResNet50")), ("c", identity("VGG16")), ("w", "macs:2")])
    version = client.get("/version").get_data(as_text=True)
    answer = client.get(f"/view/{part}?{search}&theme=dark&v={version}")
    assert answer.get_data(as_text=True) == parts.answer(small(), part, search, "dark")
    if part in parts.LIVE:
        assert answer.headers["Cache-Control"] == "no-store"
    else:
        assert "max-age" in answer.headers["Cache-Control"]
        again = client.get(f"/view/{part}?{search}&theme=dark", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
        # A page of former results must not keep, under their address, what the server says now.
        assert client.get(f"/view/{part}?{search}&v=1").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        *("/view/nothing", "/label/0000000000000000.svg", "/label/x.exe", "/summary/x.json", "/log/x.json"),
        "/assets/../app.py",
    ],
)
def test_what_is_not_there_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/label/..%2f..%2fetc%2fpasswd.svg", "/log/..%2f..%2fetc%2fpasswd.json"])
def test_no_address_leads_out_of_the_data(client: FlaskClient, path: str) -> None:
    assert client.get(path).data[:200] == client.get("/").data[:200]  # Dash answers with the page itself


def test_a_label_comes_in_every_format_and_belongs_to_the_rating(client: FlaskClient) -> None:
    name = identity("VGG16")
    starts = {"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG"}
    for format_, start in starts.items():
        for variant in ("full", "compact", "badge"):
            assert client.get(f"/label/{name}.{format_}?variant={variant}").data.startswith(start)
    assert client.get(f"/label/{name}.svg?variant=huge").status_code == 404
    usual, other = (client.get(f"/label/{name}.svg?{search}").data for search in ("", "r=MobileNetV2"))
    assert usual != other
    assert b"MobileNetV2" in other
    assert usual == client.get(f"/label/{name}.svg").data
    assert "attachment" in client.get(f"/label/{name}.pdf?download=1").headers["Content-Disposition"]
    assert b"<img src=x" not in client.get(f"/label/{identity(SCRIPT)}.svg").data


def test_the_zip_holds_a_label_of_each_row(client: FlaskClient) -> None:
    answer = client.get("/labels.zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert archive.testzip() is None
    count = len(select(small(), default_view(small())).rows)
    assert len(archive.namelist()) == count == int(answer.headers["X-Labels"])
    assert all(archive.read(name).startswith(b"%PDF") for name in archive.namelist())
    assert not any("/" in name or ".." in name for name in archive.namelist())


def test_a_task_without_labels_has_no_zip_of_them(tmp_path: Path) -> None:
    data = _table(tmp_path, "job,d,E,M,1,2\njob,d,E,N,2,3\ninference,d,E,M,1,2\n")
    client = create_app(data).server.test_client()
    refused = client.get("/labels.zip?t=job")
    assert refused.status_code == 404
    assert "There is no label for the task &#39;job&#39;." in refused.get_data(as_text=True)
    assert client.get("/view/state?t=job").get_json()["labelled"] is False
    assert client.get("/view/state?t=inference").get_json()["labelled"] is True
    compared = client.get("/view/compare?" + urlencode([("c", name) for name in data.ids])).get_json()["labels"]
    assert [each["labelled"] for each in compared] == [False, False, True]
    assert zipfile.ZipFile(io.BytesIO(client.get("/labels.zip?t=inference").data)).testzip() is None


def test_the_csv_is_the_view_and_holds_no_formula(client: FlaskClient) -> None:
    text = client.get("/table.csv?q=hyperlink,resnet").get_data(as_text=True)
    selection = select(small(), parse("?q=hyperlink,resnet", small())[0])
    assert text == to_csv(selection.rated, [int(row) for row in selection.rows])
    models = [row["model"] for row in csv.DictReader(io.StringIO(text))]
    assert f"'{FORMULA}" in models
    assert not any(model.startswith("=") for model in models)


def test_summary_and_log_are_those_of_the_result(client: FlaskClient) -> None:
    name = identity("VGG16")
    summary = client.get(f"/summary/{name}.json").get_json()
    assert summary["model"] == "VGG16"
    run = small().runs[summary["runs"][0]]
    assert client.get(f"/log/{name}.json").data == Path(run.source).read_bytes()
    several = client.get(f"/log/{identity('ResNet50')}.json").get_json()
    assert [each["run_id"] for each in several] == list(
        client.get(f"/summary/{identity('ResNet50')}.json").get_json()["runs"]
    )
    names = client.get(f"/summary/{identity(SCRIPT)}.json").headers["Content-Disposition"]
    assert "<" not in names


def test_weights_and_thresholds_come_back_as_they_are(client: FlaskClient) -> None:
    assert client.get("/weights.json?w=macs:7").get_json()["weights"]["macs"] == 7
    text = client.get("/thresholds.json?h=reference~inference~macs:4/3/2/1").data
    answer = client.post("/check-upload", data=text, headers={"X-Name": "mine.json"})
    assert answer.status_code == 200
    assert "inference~macs:4/3/2/1" in answer.get_json()["thresholds"]


def test_an_upload_is_checked(client: FlaskClient) -> None:
    assert client.post("/check-upload", data=b'{"macs": 3}').get_json()["weights"] == "macs:3"
    bad = client.post("/check-upload", data=b'{"macs": -3}', headers={"X-Name": "bad.json"})
    assert bad.status_code == 400
    assert bad.get_json()["message"].startswith("bad.json: the weight of macs must be 0 to")
    assert client.post("/check-upload", data=b" " * (MAX_UPLOAD_BYTES + 1)).status_code == 413


class _Endless(io.RawIOBase):
    """A body that does not say how long it is."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self.taken += len(buffer)
        buffer[:] = b" " * len(buffer)
        return len(buffer) if self.taken < 2**26 else 0


@pytest.mark.parametrize("path", ["/check-upload", "/_dash-update-component"])
def test_a_body_that_is_too_large_is_not_taken_in(client: FlaskClient, path: str) -> None:
    """An upload in chunks does not announce its length."""
    body = _Endless()
    environment = {"wsgi.input": body, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = client.post(path, environ_overrides=environment, headers={"Content-Type": "application/json"})
    assert body.taken < 2 * MAX_UPLOAD_BYTES
    assert answer.status_code in (400, 413)
    if path == "/check-upload":
        assert answer.status_code == 413
        assert answer.get_json()["message"] == "The file is larger than 128 kB: not weights or thresholds."
    assert client.post("/check-upload", data=b'{"macs": 3}' + b" " * (MAX_UPLOAD_BYTES - 11)).status_code == 200


def test_an_address_of_any_length_gives_what_it_says_or_a_reason(client: FlaskClient) -> None:
    """What the page adds to a view's address does not count, nor how the server would write it."""
    name, added = identity("VGG16"), f"&theme=dark&variant=compact&v={client.get('/version').get_data(as_text=True)}"
    longest = "w=macs:2," + "*" * (MAX_ADDRESS - len("w=macs%3A2%2C"))
    assert "weights changed" in client.get(f"/view/state?{longest}{added}").get_json()["rating"]
    assert client.get(f"/weights.json?{longest}{added}").get_json()["weights"]["macs"] == 2
    assert client.get(f"/label/{name}.svg?{longest}{added}").status_code == 200
    said = client.get(f"/view/state?{longest}*").get_json()["notices"]
    assert f"The address is longer than {MAX_ADDRESS} characters and was not read." in said
    for path in (f"label/{name}.svg", "labels.zip", "table.csv", f"summary/{name}.json", "weights.json", "thresholds.json"):
        refused = client.get(f"/{path}?{longest}*")
        assert refused.status_code == 414
        assert f"longer than {MAX_ADDRESS} characters" in refused.get_data(as_text=True)


def test_nobody_sees_the_view_of_another(client: FlaskClient) -> None:
    data = small()
    before = {key: value for key, value in vars(data).items() if key != "rated"}
    searches = [
        urlencode(
            [("w", f"parameters:{n}"), ("r", ("ResNet50", "VGG16", "best")[n % 3]), ("i", data.ids[n % len(data.ids)])]
        )
        for n in range(40)
    ]
    asked = [(part, search) for search in searches for part in ("state", "scatter", "facts", "table")]

    def ask(which: tuple[str, str]) -> str:
        return app().server.test_client().get(f"/view/{which[0]}?{which[1]}&theme=light").get_data(as_text=True)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, asked))
    for (part, search), answer in zip(asked, answers, strict=True):
        assert answer == parts.answer(data, part, search, "light")
    assert before == {key: value for key, value in vars(data).items() if key != "rated"}


def test_an_answer_is_the_same_compressed(client: FlaskClient) -> None:
    plain = client.get("/view/table").data
    short = client.get("/view/table", headers={"Accept-Encoding": "br"})
    assert short.headers["Content-Encoding"] == "br"
    assert brotli.decompress(short.data) == plain
    page = client.get("/").get_data(as_text=True)
    script = next(part for part in page.split('"') if "dash_mantine_components" in part and part.endswith(".js"))
    plain = client.get(script).data
    assert brotli.decompress(client.get(script, headers={"Accept-Encoding": "br, gzip"}).data) == plain
    assert gzip.decompress(client.get(script, headers={"Accept-Encoding": "gzip"}).data) == plain
    assert "max-age=31536000" in client.get(script).headers["Cache-Control"]


def test_the_best_compression_is_taken_from_the_cache(tmp_path: Path) -> None:
    content = b"mlee " * 1000
    slow: list[Path] = []
    first = bundles._brotli(content, slow)
    assert len(slow) == 1
    bundles.compress([str(slow[0])])
    assert brotli.decompress(bundles._brotli(content, slow) or b"") == content
    assert len(slow) == 1  # it was there
    best = slow[0].with_suffix(".br")
    best.write_bytes(b"damaged")
    assert bundles._brotli(content, slow) == first
    assert len(slow) == 2


def _table(folder: Path, rows: str) -> Explored:
    (folder / "runs.csv").write_text(f"task,dataset,environment,model,energy,score\n{rows}")
    (folder / "meta_properties.json").write_text('{"energy": {"unit": "J", "maximize": false}, "score": {"maximize": true}}')
    return Explored(load([folder]))


@pytest.mark.parametrize("rows", ["a,hollow,E,M,,\n{}", "{}a,hollow,E,M,,\n"], ids=["first", "last"])
def test_a_data_set_without_any_value_is_left_out_and_said(rows: str, tmp_path: Path) -> None:
    data = _table(tmp_path, rows.format("a,full,E,M,1,2\na,full,E,N,2,3\na,full,F,M,,\n"))
    app = create_app(data)
    client = app.server.test_client()
    assert "No value of any metric, left out: a on hollow." in json.dumps(client.get("/_dash-layout").get_json())
    state = client.get("/view/state?d=hollow").get_json()
    assert [each["value"] for each in state["options"]["d"]] == ["full"]
    assert "There is no data set “hollow” here; showing full." in state["notices"]
    (hollow,) = (name for name, row in data.row_of.items() if data.table["dataset"].iloc[row] == "hollow")
    for part in parts.PARTS:  # an environment without values stays: its neighbours have some
        for search in ("e=F", f"i={hollow}&c={hollow}&c={data.ids[1]}&c={data.ids[2]}"):
            assert client.get(f"/view/{part}?{search}").status_code == 200


def test_every_part_of_a_page_of_a_foreign_table_alone(tmp_path: Path) -> None:
    """Thresholds that are shipped are of metrics that such a page does not have."""
    client = create_app(_table(tmp_path, "a,full,E,M,1,2\na,full,E,N,2,3\n")).server.test_client()
    for part in parts.PARTS:
        for search in ("", "h=quantiles", "r=best"):
            assert client.get(f"/view/{part}?{search}").status_code == 200
    now = client.get("/view/tuning?h=quantiles").get_json()["current"]
    assert now["energy"]["all"].startswith("a~energy:")


def test_results_without_any_value_are_a_page_that_says_so(tmp_path: Path) -> None:
    write_results(tmp_path)
    loaded = load([tmp_path])
    for name in loaded.metrics:
        loaded.table[name] = float("nan")
    client = create_app(Explored(loaded)).server.test_client()
    assert "The results hold no value of any metric." in json.dumps(client.get("/_dash-layout").get_json())
    assert client.get("/view/state").status_code == 404


def test_a_page_without_results_says_what_to_do() -> None:
    empty = create_app(Explored(None, (), "No result could be read in results.")).server.test_client()
    assert empty.get("/").status_code == 200
    assert "There are no results yet" in json.dumps(empty.get("/_dash-layout").get_json())
    for path in ("view/state", "table.csv", "labels.zip", "weights.json", "thresholds.json"):
        assert empty.get(f"/{path}").status_code == 404

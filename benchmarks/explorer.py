"""Measure the explorer: first picture, hover, axis change, bytes, memory, and fifty visitors at once.

Run by hand, on a machine that does nothing else; needs a Chromium::

    python benchmarks/explorer.py --directory ../shared/imageneteff22/results
    python benchmarks/explorer.py --directory ../shared/imageneteff22/results --peer ../elex2022

`--peer` takes a checkout of the page of 2022 with its own `.venv` and `results/`, and measures it in the same run. Both are
driven by the same browser: a time begins with the event that a person causes and ends when the picture has changed. Our page
shows its first picture before Plotly is there; the time until Plotly has drawn stands beside it.

Every visitor has a view of its own, and each answer is compared with what this process computes for that view.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import platform
import random
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from mlee.elex import parts
from mlee.elex.data import Explored
from mlee.results.load import load
from mlee.sensors.machine import cpu_name

ROOT = Path(__file__).parents[1]
CLIENTS, PROCESSES = 50, 2
AXES = ("time_per_sample", "parameters", "macs", "energy_per_sample", "weights_size")
WIDTH, HEIGHT = 1440, 900
#: A page that asks another host for something gets no answer, at once.
_ONLY_HERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
#: Counts from the event to the next finished drawing.
_TIMER = """(plot) => {
  window.times = []; window.since = 0;
  plot.on('plotly_afterplot', () => {
    if (window.since) { window.times.push(performance.now() - window.since); window.since = 0; }
  });
}"""
#: Counts from the pointer's last move to the label's picture.
_IMAGE = """(id) => {
  window.loads = []; window.since = 0;
  document.getElementById(id).addEventListener('load', () => {
    if (window.since) { window.loads.push(performance.now() - window.since); window.since = 0; }
  });
  document.addEventListener('mousemove', () => { window.since = performance.now(); }, true);
}"""
_POINTS = """(plot) => {
  const box = plot.getBoundingClientRect(), full = plot._fullLayout, found = [];
  plot.data.forEach((trace) => {
    if (!(trace.mode || 'markers').includes('markers') || (trace.marker || {}).opacity === 0 || !trace.text) return;
    trace.x.forEach((x, n) => {
      const left = box.left + full.xaxis._offset + full.xaxis.d2p(x);
      if (x !== null && trace.y[n] !== null) found.push([left, box.top + full.yaxis._offset + full.yaxis.d2p(trace.y[n])]);
    });
  });
  return found;
}"""


@contextmanager
def serving(command: list[str], folder: Path, port: int) -> Iterator[psutil.Process]:
    """Start a server and wait until it answers."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                with socket.create_connection(("127.0.0.1", port), 1):
                    break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit(f"{' '.join(command)} does not answer")
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(10)


def memory_mib(server: psutil.Process) -> float:
    """Memory of a process and its children, shared pages counted once [MiB]."""
    return sum(each.memory_full_info().pss for each in [server, *server.children(recursive=True)]) / 2**20


def cpu_s(server: psutil.Process) -> float:
    """CPU time of a process and its children so far [s]."""
    times = [each.cpu_times() for each in [server, *server.children(recursive=True)]]
    return float(sum(each.user + each.system for each in times))


def first_visit(browser: Browser, url: str, ready: list[str]) -> tuple[list[float], float]:
    """Time from asking until each selector is there [s], and bytes received [MB], in a browser that knows nothing yet."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    page = context.new_page()
    received = [0]
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: received.__setitem__(0, received[0] + event["encodedDataLength"]))
    started = time.perf_counter()
    page.goto(url, wait_until="commit")
    times = []
    for selector in ready:
        page.wait_for_selector(selector, timeout=60_000)
        times.append(time.perf_counter() - started)
    page.wait_for_timeout(2000)
    context.close()
    return times, received[0] / 1e6


def hovering(page: Page, graph: str, image: str, server: psutil.Process, rounds: int) -> dict[str, float]:
    """Move over the points; returns the time from the move to the label's picture, and server CPU a hover [ms]."""
    element = page.query_selector(graph)
    places = page.evaluate(_POINTS, element)
    page.evaluate(_IMAGE, image)
    before, moves = cpu_s(server), 0
    for _ in range(rounds):
        for x, y in places:
            page.mouse.move(x, y)
            page.wait_for_timeout(60)
            with_label = page.evaluate("window.since === 0")
            if not with_label:
                page.wait_for_timeout(1200)
            moves += 1
    loads = page.evaluate("window.loads")
    return {"hover": statistics.median(loads), "hover95": _p95(loads), "cpu": (cpu_s(server) - before) / moves * 1000}


def axis_changes(page: Page, graph: str, change: Callable[[Page, int], None], rounds: int) -> dict[str, float]:
    """Change the horizontal axis; returns the time until the plot is drawn [ms]."""
    page.evaluate(_TIMER, page.query_selector(graph))
    for number in range(rounds * len(AXES)):
        change(page, number)
        page.wait_for_function("window.since === 0", timeout=30_000)
        page.wait_for_timeout(250)
    times = page.evaluate("window.times")
    return {"axis": statistics.median(times), "axis95": _p95(times)}


def _ours_change(page: Page, number: int) -> None:
    page.evaluate(
        "(value) => { window.since = performance.now(); "
        "window.dash_clientside.set_props({ control: 'x', kind: 'select' }, { value }); }",
        AXES[number % len(AXES)],
    )


def _peer_change(page: Page, number: int) -> None:
    page.evaluate(
        "(value) => { window.since = performance.now(); window.dash_clientside.set_props('xaxis', { value }); }",
        ("inference_time", "parameters", "gflops", "inference_power_draw", "fsize")[number % len(AXES)],
    )


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def our_requests(data: Explored) -> list[list[tuple[str, str, dict[str, str], str, str]]]:
    """Return for each client its requests: method, path, headers, body, and the answer that belongs to it."""
    found = []
    for number in range(CLIENTS):
        chance = random.Random(number)
        environments = [name for name, _ in next(iter(data.choices.values())).environments]
        mine = []
        for _ in range(12):
            view = [
                ("x", chance.choice(AXES)),
                ("s", chance.choice(("index", "value"))),
                *(("e", name) for name in chance.sample(environments, chance.randint(1, 3))),
                ("w", f"parameters:{1 + number / 10}"),
            ]
            search = urlencode(view)
            answer = parts.answer(data, "scatter", search, "light")
            mine.append(("GET", f"/view/scatter?{search}&theme=light&v=x", {}, "", answer))
            search = urlencode([("i", chance.choice(data.ids)), ("w", f"parameters:{1 + number / 10}")])
            mine.append(
                ("GET", f"/view/facts?{search}&theme=light&v=x", {}, "", parts.answer(data, "facts", search, "light"))
            )
        found.append(mine)
    return found


def _visit(port: int, requests: list[Any], until_s: float, results: Any) -> None:
    """Be one visitor: ask one thing after the other, compare each answer."""
    times, errors, wrong = [], 0, 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    number = 0
    while time.monotonic() < until_s:
        method, path, headers, body, expected = requests[number % len(requests)]
        number += 1
        started = time.perf_counter()
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            errors += answer.status != 200
            wrong += bool(expected) and content.decode() != expected
        except OSError:
            errors += 1
            connection.close()
        times.append(time.perf_counter() - started)
    results.append((times, errors, wrong))


def _visitors(port: int, requests: list[list[Any]], seconds: float, queue: Any) -> None:
    results: list[Any] = []
    until_s = time.monotonic() + seconds
    threads = [threading.Thread(target=_visit, args=(port, mine, until_s, results)) for mine in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.put(results)


def many_visitors(port: int, requests: list[list[Any]], seconds: float, server: psutil.Process) -> dict[str, float]:
    """Let all clients ask at once; returns requests a second, 95th percentile [s], errors, wrong answers, memory [MiB]."""
    queue: Any = multiprocessing.Queue()
    share = len(requests) // PROCESSES
    workers = [
        multiprocessing.Process(target=_visitors, args=(port, requests[n * share : (n + 1) * share], seconds, queue))
        for n in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    peak = 0.0
    while any(worker.is_alive() for worker in workers) and queue.qsize() < PROCESSES:
        peak = max(peak, memory_mib(server))
        time.sleep(1)
    results = [result for _ in workers for result in queue.get()]
    for worker in workers:
        worker.join()
    times = [each for result in results for each in result[0]]
    return {
        "rate": len(times) / seconds,
        "p95": _p95(times),
        "errors": sum(result[1] for result in results),
        "wrong": sum(result[2] for result in results),
        "peak": peak,
        "after": memory_mib(server),
    }


def measure(browser: Browser, args: argparse.Namespace, *, peer: bool, data: Explored | None) -> dict[str, float]:
    """Measure one page; returns its figures by name."""
    port = 8050 if peer else _free_port()
    url = f"http://127.0.0.1:{port}/"
    python = str(args.peer / ".venv/bin/python") if peer else sys.executable
    command = [python, "elex.py"] if peer else [python, "elex.py", "--directory", str(args.directory), "--port", str(port)]
    graph = "#graph-scatter .js-plotly-plot" if peer else "#graph"
    ready = (
        ["#graph-scatter .scatterlayer .point"]
        if peer
        else ["#graph .preview, #graph .scatterlayer .point", "#graph .scatterlayer .point", "#label[src]"]
    )
    with serving(command, args.peer if peer else ROOT, port) as server:
        visits = [first_visit(browser, url, ready) for _ in range(args.rounds)]
        found = {f"first{n}": statistics.median(times[n] for times, _ in visits) for n in range(len(ready))}
        found["bytes"] = min(size for _, size in visits)
        found["start"] = memory_mib(server)
        page = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, bypass_csp=True).new_page()
        asked: list[tuple[str, str]] = []
        page.on(
            "request",
            lambda request: asked.append((request.url, request.post_data or "")) if request.method == "POST" else None,
        )
        page.goto(url)
        page.wait_for_selector(ready[-1], timeout=60_000)
        page.wait_for_timeout(1500)
        found |= axis_changes(page, graph, _peer_change if peer else _ours_change, args.rounds)
        found |= hovering(page, graph, "label", server, 1 if peer else 3)
        page.close()
        if data is not None:
            requests = our_requests(data)
        else:
            bodies = [body for address, body in asked if address.endswith("_dash-update-component")][-24:]
            headers = {"Content-Type": "application/json"}
            mine = [("POST", "/_dash-update-component", headers, body, "") for body in bodies]
            requests = [mine] * CLIENTS
        found |= many_visitors(port, requests, args.seconds, server)
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


ROWS = (
    ("first picture in the browser [s]", "first0", "{:.2f}"),
    ("Plotly has drawn [s]", "first1", "{:.2f}"),
    ("whole page with a label [s]", "first2", "{:.2f}"),
    ("hover to label, median [ms]", "hover", "{:.0f}"),
    ("hover to label, 95 % [ms]", "hover95", "{:.0f}"),
    ("server CPU a hover [ms]", "cpu", "{:.1f}"),
    ("axis change, median [ms]", "axis", "{:.0f}"),
    ("axis change, 95 % [ms]", "axis95", "{:.0f}"),
    ("bytes, first visit [MB]", "bytes", "{:.2f}"),
    ("memory at the start [MiB]", "start", "{:.0f}"),
    (f"memory under {CLIENTS} clients, peak [MiB]", "peak", "{:.0f}"),
    (f"memory after {CLIENTS} clients [MiB]", "after", "{:.0f}"),
    (f"{CLIENTS} clients: requests a second", "rate", "{:.1f}"),
    (f"{CLIENTS} clients: 95 % of the answers within [s]", "p95", "{:.2f}"),
    (f"{CLIENTS} clients: errors", "errors", "{:.0f}"),
    (f"{CLIENTS} clients: answers of another view", "wrong", "{:.0f}"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, required=True, help="results to explore")
    parser.add_argument("--peer", type=Path, metavar="DIR", help="checkout of the page of 2022 with a .venv")
    parser.add_argument("--rounds", type=int, default=5, help="visits, and times that each axis is chosen")
    parser.add_argument("--seconds", type=float, default=60, help="time under load")
    args = parser.parse_args()
    args.directory = args.directory.resolve()
    data = Explored(load([args.directory]))
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium here: apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", _ONLY_HERE])
        ours = measure(browser, args, peer=False, data=data)
        peer = measure(browser, args, peer=True, data=None) if args.peer else {}
        browser.close()
    print(f"{cpu_name()}, {psutil.cpu_count()} threads, Python {platform.python_version()}, {len(data.ids)} results\n")
    print("| | mlee |" + (" 2022 | ratio |" if peer else ""))
    print("|---|---|" + ("---|---|" if peer else ""))
    for name, key, form in ROWS:
        line = f"| {name} | {form.format(ours[key])} |"
        if peer:
            other = peer.get(key)
            ratio = "" if other is None or not ours[key] or not other else f"{max(other / ours[key], ours[key] / other):.1f}"
            line += f" {'' if other is None else form.format(other)} | {ratio} |"
        print(line)
    if args.peer is None:
        print(json.dumps(ours), file=sys.stderr)


if __name__ == "__main__":
    main()

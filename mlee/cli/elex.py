"""The command line of `python elex.py`."""

from __future__ import annotations

import argparse
import logging
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlee.assess.rules import RULES_EXACT
from mlee.cli.common import HelpFormatter, loading, positive_int, report, stdout
from mlee.errors import ConfigError, ResultError
from mlee.results.load import Loaded

if TYPE_CHECKING:
    from dash import Dash

_DESCRIPTION = """\
Explore results in the browser: compare models on any two metrics, see their ratings and energy labels, change how they
are rated, follow a run that is going on. Results that come later are read, too. Everything a page shows stands in its
address: copy it to share the view.
"""
_EXAMPLES = """\
examples:
  python elex.py                                     results/ of this project, on http://127.0.0.1:8888
  python elex.py --directory results experiments     merged results, and the power of each run over time
  python elex.py --directory other/runs.csv --open   a table of another tool, in a new browser tab
  python elex.py --host 0.0.0.0 --port 80            for everyone in the network
"""
_DEFAULT_DIRECTORY = Path("results")
#: Where `infer.py` and `train.py` leave their folders: looked at for traces unless something else is asked for.
_DEFAULT_EXPERIMENTS = Path("experiments")


def parser() -> argparse.ArgumentParser:
    """Build the parser."""
    main = argparse.ArgumentParser(prog="elex.py", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=HelpFormatter)
    main.add_argument(
        "--directory", "-d", type=Path, nargs="+", default=[_DEFAULT_DIRECTORY], metavar="PATH",
        help="folders of results, experiment folders (finished or running), result files, tables of other tools",
    )  # fmt: skip
    main.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 opens the page to the network")
    main.add_argument("--port", type=_port, default=8888, metavar="N", help="port to listen on")
    main.add_argument("--workers", type=positive_int, default=2, metavar="N", help="server processes, four threads each")
    main.add_argument("--public-url", metavar="URL", help="where this page is reached: QR codes of its labels lead there")
    main.add_argument("--open", action="store_true", help="open the page in a browser")
    main.add_argument("--debug", action="store_true", help="Dash's own server with its developer tools; for one person")
    return main


def main(arguments: Sequence[str]) -> int:
    """Run `python elex.py`; return the exit code."""
    args = parser().parse_args(arguments)
    try:
        from mlee.elex.app import create_app
        from mlee.elex.data import Explored
        from mlee.elex.serve import Renewal, check_free, serve
        from mlee.elex.watch import Watcher
    except ImportError as error:
        raise ConfigError(
            f"The explorer needs a package that is not installed: {error.name}.", "pip install -e .[elex]"
        ) from error
    logging.getLogger("mlee").addHandler(_errors())
    check_free(args.host, args.port)
    folders = list(args.directory)
    if args.directory == [_DEFAULT_DIRECTORY]:
        folders.append(_DEFAULT_EXPERIMENTS)

    def make() -> Dash:
        loaded, problem = _load(args.directory)
        return create_app(Explored(loaded, folders, problem), debug=args.debug, public_url=args.public_url)

    renewal = Renewal(make, Watcher(args.directory))
    shown = "127.0.0.1" if args.host in ("0.0.0.0", "::") else args.host
    url = f"http://{f'[{shown}]' if ':' in shown else shown}:{args.port}/"

    def ready() -> None:
        stdout.print(f"{url}   (Ctrl-C ends)", highlight=False)
        if args.open:
            webbrowser.open(url)

    if args.debug:
        ready()
        renewal.app.run(host=args.host, port=args.port, debug=True, use_reloader=False)
        return 0
    serve(renewal, args.host, args.port, args.workers, ready)
    return 0


def _errors() -> logging.Handler:
    """Show on the terminal what went wrong in answering a request: the visitor's browser cannot tell."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.ERROR)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handler


def _load(paths: Sequence[Path]) -> tuple[Loaded | None, str | None]:
    """Read the results; where there are none the page says so instead."""
    try:
        return loading(list(paths), RULES_EXACT), None
    except ResultError as error:
        report(error)
        return None, error.message


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"must be 1 to 65535, got {text!r}")
    return int(text)

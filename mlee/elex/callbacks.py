"""Who tells whom: what Dash's components tell the page's own scripts (assets/), which do everything else.

No callback comes back to the server: the scripts fetch parts of the page by the view's address (parts.py), and such answers
are plain resources that browser and server may keep. Dash's own way to a new axis took three times as long.
"""

from __future__ import annotations

from dash import ALL, ClientsideFunction, Dash, Input

#: Everything that stands in the address.
_CONTROLS = {"control": ALL, "kind": ALL}
_TUNE = {"metric": ALL, "task": ALL}


def register(app: Dash) -> None:
    """Wire the page up."""

    def tell(name: str, *inputs: Input) -> None:
        app.clientside_callback(ClientsideFunction("elex", name), *inputs, prevent_initial_call=True)

    tell("changed", Input(_CONTROLS, "value"))
    tell(
        "tuned",
        Input({**_TUNE, "tune": "weight"}, "value"),
        Input({**_TUNE, "tune": "threshold", "number": ALL}, "value"),
        Input({**_TUNE, "tune": "slider"}, "value"),
    )
    tell("picked", Input("grid", "selectedRows"))
    tell("drawer", Input("tuning", "opened"))

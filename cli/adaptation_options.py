"""Options that `simulate --adapt` and `compare --trace` share."""

from typing import Annotated

import typer

PredictorOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Predictor of load; default: the controller's own.")
]
LevelOption = Annotated[
    str | None, typer.Option(metavar="PERCENT", help="Forecasts by quantile that suffice; default: the controller's.")
]
IntervalOption = Annotated[
    str | None, typer.Option(metavar="DURATION", help="From one decision to the next; default: the controller's own.")
]
PastOption = Annotated[
    str | None,
    typer.Option(metavar="SPAN", help="Part of the trace to learn from; default: what is before the window."),
]
LoadTimeOption = Annotated[
    str | None, typer.Option(metavar="DURATION", help="What a new replica takes to load; default: as measured.")
]

"""Objectives: how much budget is left?"""

from frame import Board
from panel import CATALOGUE, lines, q, tile

BUDGET = [(None, "red"), (0, "orange"), (0.5, "green")]


def board():
    made = Board("treble-slo", "Objectives", "How much of each error budget of 30 days is left, and when will it be used up?")
    for slo in CATALOGUE["slo"]:
        name, title, budget = slo["name"], slo["title"], round(1 - slo["objective"], 6)
        error = f"slo:{name}_error:ratio_rate%s{{cluster=~\"$cluster\"}}"
        remaining = f'slo:budget_remaining:ratio{{cluster=~"$cluster",slo="{name}"}}'
        burning = f'slo:burn_rate:ratio{{cluster=~"$cluster",slo="{name}"}}'
        factors = [factor for half in CATALOGUE["burn"].values() for factor, *_ in half]
        made.row(
            f"{title}: {slo['objective'] * 100:g} %",
            tile(f"{title}: compliance", f"Share of 30 days that kept the objective. Bad is: {slo['summary'].lower()}.", "percentunit",
                 q(f"1 - {error % '30d'}"), steps=[(None, "red"), (slo["objective"], "green")], span=3, height=8, decimals=3, plain=True),
            tile(f"{title}: budget", "Share of the error budget that is left.", "percentunit", q(remaining), steps=BUDGET, span=3, height=8, decimals=1, plain=True),
            tile(f"{title}: gone in", "When the budget will be used up if errors go on as in the last hour.", "dateTimeFromNow",
                 q(f"1000 * (time() + {remaining} * 30 * 86400 / ({burning} > 0))"), span=3, height=8, nothing="not burning", plain=True),
            lines(f"{title}: burn rate", "How many times faster than the objective allows errors come, over four windows. Lines: where the page and the ticket begin.",
                  "short", *[q(f"{error % window} / {budget}", window) for window in ("1h", "6h", "1d", "3d")],
                  steps=[(None, "green"), *((factor, "red" if factor > 5 else "orange") for factor in sorted(factors))], span=8),
            lines(f"{title}: budget over time", "Share of the error budget that is left.", "percentunit", q(remaining, "left"), span=7, lowest=None, highest=1),
        )
    return made

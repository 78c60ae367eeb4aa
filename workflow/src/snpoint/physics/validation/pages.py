"""Parts of pages of the documentation that commands write: tables and paragraphs between two markers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from snpoint.errors import DataError
from snpoint.physics.validation.errors import ErrorAgreement
from snpoint.physics.validation.ranks import LEVEL

Record = Mapping[str, Any]


def replaced(page: str, name: str, content: str) -> str:
    """A page with the text between the markers of this name exchanged.

    Raises
    ------
    DataError
        It does not have both markers.
    """
    begin, end = f"<!-- {name}: written by the command -->", f"<!-- end of {name} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise DataError(f"the page lacks the lines `{begin}` and `{end}`, which the text goes between")
    pattern = f"({re.escape(begin)}\n).*({re.escape(end)})"
    return re.sub(pattern, lambda found: f"{found[1]}{content.strip()}\n{found[2]}", page, flags=re.DOTALL)


def result_text(records: Sequence[Record]) -> str:
    """What `real.csv` says, as Markdown: summary, table of all quantities, and what is apart from 1."""
    everything = _of(records, "all")
    by_p = sorted(everything, key=lambda row: float(row["p"]))
    failed = [row for row in everything if row["verdict"] != "ok"]
    verdict = f"every one of the {len(everything)} quantities has p > {LEVEL} after Holm"
    if failed:
        verdict = f"{len(failed)} of {len(everything)} quantities disagree (p not above {LEVEL} after Holm)"
    smallest = "; ".join(
        f"`{row['quantity']}` {_ratio(row, 'size')}, p = {row['p']:.2g}, {row['p_holm']:.2g} after Holm"
        for row in by_p[:3]
    )
    n, fewest = (int(everything[0][key]) for key in ("n", "twins"))
    lines = [f"{n} real events, {fewest:,} twins or more of each: {verdict}. The smallest p: {smallest}.", ""]
    lines += ["| quantity | median of events (95%) | of sums (95%) | p (drawings of ties) | ES | CC | Holm | verdict |",
              "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    by_kind = {kind: {row["quantity"]: row for row in _of(records, kind)} for kind in ("ES", "CC")}
    for row in everything:
        spread = f" ({row['p_low']:.2g} to {row['p_high']:.2g})" if row["p_high"] > 1.5 * row["p_low"] else ""
        alone = " | ".join(f"{by_kind[kind][row['quantity']]['p']:.2g}" for kind in ("ES", "CC"))
        cells = [
            f"`{row['quantity']}`",
            _ratio(row, "ratio", "ratio_ci95"),
            _ratio(row, "mean_ratio", "mean_ratio_ci95"),
        ]
        cells += [f"{row['p']:.2g}{spread}", alone, f"{row['p_holm']:.2g}", str(row["verdict"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", apart_text(everything)])


def apart_text(everything: Sequence[Record]) -> str:
    """Quantities whose 95% interval excludes 1, with their size."""
    apart = [row for row in everything if row["size_low"] > 1.0 or row["size_high"] < 1.0]
    if not apart:
        return "No quantity has a 95% interval (of the ratio that says the size) that excludes 1."
    listed = "; ".join(f"`{row['quantity']}` {_ratio(row, 'size')}" for row in apart)
    meant = [row for row in apart if not row["p_holm"] > LEVEL]
    names = ", ".join(f"`{row['quantity']}`" for row in meant)
    told = f"Significant after Holm: {names}." if meant else "None of them is significant after Holm."
    return (
        f"Of {len(everything)} quantities {len(apart)} have a 95% interval that excludes 1 "
        f"({0.05 * len(everything):.0f} are expected by chance if all are right): {listed}. {told}"
    )


def halves_text(records: Sequence[Record]) -> str:
    """The same for events with even and with odd numbers, beside each other, as Markdown."""
    halves = {kind: {row["quantity"]: row for row in _of(records, kind)} for kind in ("even", "odd")}
    lines = ["| quantity | even: real / simulated (95%) | p | odd: real / simulated (95%) | p |"]
    lines.append("|---|---|---|---|---|")
    for name, even in halves["even"].items():
        odd = halves["odd"][name]
        cells = (f"{_ratio(half, 'size')} | {half['p']:.2g}" for half in (even, odd))
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    told = []
    for kind, rows in halves.items():
        least = min(rows.values(), key=lambda row: float(row["p"]))
        number = sum(not row["p_holm"] > LEVEL for row in rows.values())
        told.append(
            f"{kind} half ({int(least['n'])} events): {number} quantities disagree after Holm; smallest p "
            f"{least['p']:.2g} ({least['p_holm']:.2g} after Holm), `{least['quantity']}`"
        )
    return "\n".join([*lines, "", ". ".join(text[0].upper() + text[1:] for text in told) + "."])


def errors_text(found: ErrorAgreement, inside: ErrorAgreement, counts: Mapping[str, int], fewest: int) -> str:
    """A paragraph about the angular errors of a network: of all events, and of those with vertices inside."""
    low, high = found.median_ratio_ci95
    kinds = ", ".join(f"{n} {kind}" for kind, n in counts.items())
    agree = "agree" if min(found.p, found.p_with_lost) > LEVEL else "**disagree**"
    sentences = [
        f"{found.n} real events ({kinds}), {fewest:,} twins or more of each.",
        f"{found.lost} real events have no image, {found.lost_expected:.1f} are expected (p = {found.lost_p:.2g}).",
        f"The errors {agree}: the ranks of the {found.ranked} real errors among those of their twins give p =",
        f"{found.p:.2g}, with the lost ones as the worst p = {found.p_with_lost:.2g} (more than {LEVEL} is demanded of",
        f"both); their mean is {found.mean_rank:.2f} (0.5 is expected).",
    ]
    if inside.n != found.n:
        sentences += [
            f"Without the {found.n - inside.n} events with vertices outside of the drift volumes, which no twin is",
            f"like: p = {inside.p:.2g} ({inside.ranked} with an image) and {inside.p_with_lost:.2g};",
            f"{inside.lost} lost, {inside.lost_expected:.1f} expected (p = {inside.lost_p:.2g}).",
        ]
    sentences += [
        f"The median of real error / median error of the twins is {found.median_ratio:.2f} (95% {low:.2f} to",
        f"{high:.2f}). This test would have seen errors smaller by a factor {_shift(found.seen_below)} or larger",
        f"by a factor {_shift(found.seen_above)} with 90% power at p < {LEVEL}.",
    ]
    return " ".join(sentences)


def _shift(factor: float) -> str:
    return "beyond 16" if not math.isfinite(factor) or factor == 0.0 else f"{factor:.2f}"


def _of(records: Sequence[Record], kind: str) -> list[Record]:
    return [row for row in records if row["events"] == kind]


def _ratio(row: Record, key: str, interval: str | None = None) -> str:
    """Such as 1.08 (1.02 to 1.18); a dash where there is none."""
    if math.isnan(row[key]):
        return "-"
    low, high = (row[f"{interval or key}_{end}"] for end in ("low", "high"))
    return f"{row[key]:.2f} ({low:.2f} to {high:.2f})"

"""What a reader of a dataset's card must know first: every figure of the card that is off, in words.

Each rule names a mistake that was made before, or the kind of it; a rule reads the card alone, so that a planted
mistake shows whether it is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from snpoint.physics.problems_files import dates_of_productions, forced_interactions
from snpoint.physics.summary import volume_name

Json = dict[str, Any]
Card = Mapping[str, Any]
Problem = tuple[str, str, str]

SEVERITIES = ("error", "warning", "note")
"""``error``: do not train on this; ``warning``: know this; ``note``: nothing wrong, but not usual."""
_RELATED = 0.65
"""Least share of slopes with the sign of their label: 0.8 is found on electrons, which scatter; 0.5 is chance."""
_FILLING_IMAGES = 300
"""Images from which on a shard shows how large its box is."""
_ALARM, _DOUBT = 5.0, 4.0
"""Deviations from the expectation, in standard errors, that make an error and a warning."""


def problems(card: Card) -> list[Json]:
    """All problems of a card, the worst first: ``severity``, ``what`` (one word or two) and ``text``."""
    rules = (_labels, _isotropy, _places, _slopes, _mains, _splits, _counts, _inputs, _copies, _energies, _overlays)
    found = [problem for rule in rules for problem in rule(card)]
    found.sort(key=lambda problem: SEVERITIES.index(problem[0]))
    return [{"severity": severity, "what": what, "text": text} for severity, what, text in found]


def _isotropy(card: Card) -> Iterator[Problem]:
    labels = card["labels"]
    if labels is None:
        yield "note", "labels", "No image has a true direction: nothing can be trained or measured with these data."
        return
    pull = labels["largest_pull"]
    if pull >= _DOUBT:
        severity = "error" if pull >= _ALARM else "warning"
        shown = ", ".join(f"{axis} {value:.3f}" for axis, value in labels["mean_abs"].items())
        yield (
            severity,
            "labels",
            f"Directions are not isotropic ({pull:.1f} standard errors; mean |d| {shown}, expected 0.5): "
            "they may be of something else than the electron's momentum.",
        )


def _labels(card: Card) -> Iterator[Problem]:
    found = card["label_checks"]
    if found is None:
        return
    if found["n_signal_without_label"]:
        yield "error", "labels", f"{_n(found, 'n_signal_without_label')} signal images have no true direction."
    if found["n_zero_momentum"]:
        yield "error", "labels", f"{_n(found, 'n_zero_momentum')} images have a direction, but |p| = 0."
    n_events = card["main"]["n_events"]
    if found["n_different"] and n_events >= 20 and found["n_different"] < 0.5 * n_events:
        yield "error", "labels", f"Only {_n(found, 'n_different')} different directions in {n_events:,} events."
    cosine, error = found["vertex_cosine"], found["vertex_cosine_error"]
    if cosine is not None and abs(cosine) > _ALARM * error:
        yield (
            "error",
            "labels",
            f"Directions point along the vertex position (mean cosine {cosine:+.3f} ± {error:.3f}): positions may have "
            "been taken for momenta.",
        )
    correlation, error = found["largest_energy_correlation"], found["energy_correlation_error"]
    if correlation is not None and abs(correlation) > max(_ALARM * error, 0.05):
        yield (
            "error",
            "labels",
            f"A component of the direction follows an energy (correlation {correlation:+.3f} ± {error:.3f}): columns "
            "may have been mixed up.",
        )


def _places(card: Card) -> Iterator[Problem]:
    found = card["places"]
    if found is None:
        return
    if found["n_unknown_volume"]:
        text = f"{_n(found, 'n_unknown_volume')} images are of drift volumes that the detector does not have."
        yield "error", "geometry", text
    if found["right_face"] < 0.9:
        yield (
            "error",
            "geometry",
            f"Only {_percent(found['right_face'])} of the main clusters are on the side (sign of x) of their vertex: "
            "faces are confused, or the detector is another one.",
        )
    elif found["in_volume"] < 0.8:
        yield (
            "error",
            "geometry",
            f"Only {_percent(found['in_volume'])} of the vertices lie in the drift volume of their main cluster: APAs "
            "are confused, or the detector is another one.",
        )


def _slopes(card: Card) -> Iterator[Problem]:
    rows = card["slopes"]
    if card["frame"]["orientation"] != "canonical":
        yield (
            "warning",
            "orientation",
            f"Images are in the frame '{card['frame']['orientation']}': drift volumes differ in the meaning of their "
            "axes, and the check of slopes against labels does not apply.",
        )
        return
    mirrored = [row for row in rows if row["share"] < 0.5 - _DOUBT * row["error"]]
    n = sum(row["n"] for row in rows)
    share = sum(row["n"] * row["share"] for row in rows) / n if n else 1.0
    if mirrored:
        yield (
            "error",
            "orientation",
            f"Slopes contradict the labels in {_volumes(mirrored)}: an axis of these images is mirrored.",
        )
    elif n and _RELATED - share > _DOUBT * 0.5 / n**0.5:
        yield (
            "error",
            "orientation",
            f"Only {_percent(share)} of {n:,} slopes have the sign of their label: images and labels may not belong "
            "together.",
        )


def _mains(card: Card) -> Iterator[Problem]:
    found = card["main"]
    if found["n_events_with_several_main"]:
        yield "error", "main", f"{_n(found, 'n_events_with_several_main')} events have several main clusters."
    if found["n_main_not_highest"]:
        yield (
            "error",
            "main",
            f"{found['n_main_not_highest']:,} of {found['n_compared']:,} main clusters are not the one of the highest "
            "energy: they were chosen by something else.",
        )
    if found["main_is_signal"]:
        yield (
            "warning",
            "main",
            "Main cluster and signal are the same in all images: one may have been taken for the other.",
        )
    share = found["share_signal_of_main"]
    if share is not None and share < 0.5:
        yield (
            "error",
            "main",
            f"Only {_percent(share)} of the main clusters are signal: most labels belong to something else.",
        )
    if card["settings"]["balance"] != "is_main" and 0 < found["share_main"] < 0.2:
        yield "note", "main", f"Main clusters are {_percent(found['share_main'])} of the images."


def _splits(card: Card) -> Iterator[Problem]:
    shared = card["in_several_splits"]
    for key, name in (("events", "events"), ("images", "cluster contents"), ("backgrounds", "background events")):
        if shared[key]:
            yield (
                "error",
                "splits",
                f"{shared[key]:,} {name} are in more than one split: a test would meet what was learned.",
            )
    for name, part in card["splits"].items():
        if part["share_asked"] and not part["n"]:
            yield "warning", "splits", f"Split '{name}' is empty, {_percent(part['share_asked'])} were asked for."


def _counts(card: Card) -> Iterator[Problem]:
    counts = card["counts"]
    if counts["asked"] is not None and counts["selected"] < counts["asked"]:
        yield (
            "warning",
            "counts",
            f"{counts['asked']:,} images were asked for, {counts['selected']:,} found "
            f"({counts['asked'] - counts['selected']:,} missing); the settings allow it.",
        )


def _inputs(card: Card) -> Iterator[Problem]:
    for key, kind in (("files", "input"), ("background", "background")):
        broken = [file for file in card[key] if file["problem"]]
        if broken:
            shown = ", ".join(f"{file['name']} ({file['problem']})" for file in broken[:3])
            yield "warning", "files", f"{len(broken):,} of {len(card[key]):,} {kind} files were left out: {shown}."
    tags = [entry["tag"] for entry in card["productions"]]
    if len(tags) > 1:
        shown = ", ".join(f"'{entry['tag']}' ({entry['files']:,} files)" for entry in card["productions"])
        yield "warning", "productions", f"Files of {len(tags)} productions are mixed, as declared: {shown}."
    if card["stand_ins"]:
        shown = ", ".join(f"'{tag}'" for tag in card["stand_ins"])
        yield "warning", "stand-in", f"Simulated in place of a production that is not there: {shown}."
    yield from forced_interactions(card)
    yield from dates_of_productions(card)
    yield from _shapes(card)
    if not card["files"]:
        yield "warning", "files", "The shards do not say which files they were made of."


def _shapes(card: Card) -> Iterator[Problem]:
    """Images of shards of one dataset were cut out with one box; small shards do not fill it."""
    large = [row for row in card["shards"] if row["images"] >= _FILLING_IMAGES and row["ticks"]]
    for key in ("ticks", "channels"):
        widths = [row[key][1] - row[key][0] for row in large]
        narrow = [row for row, width in zip(large, widths, strict=True) if width < 0.6 * max(widths)]
        if narrow:
            yield (
                "error",
                "shapes",
                f"Images of {len(narrow):,} shards such as {narrow[0]['shard']} have fewer {key} "
                f"({narrow[0][key][0]} to {narrow[0][key][1]}) than others: they are of another size.",
            )


def _copies(card: Card) -> Iterator[Problem]:
    for key, name in (("images", "images"), ("backgrounds", "images over a background event")):
        found = card["duplicates"][key]
        if found["n_shared"]:
            yield (
                "warning",
                "duplicates",
                f"{found['n_shared']:,} {name} ({_percent(found['share'])}) had copies under other events, up to "
                f"{found['most_events']:,} of one; {found['n_later']:,} were dropped.",
            )


def _energies(card: Card) -> Iterator[Problem]:
    names = card["frame"]["planes"]
    for plane, median in (card["response"] or {}).items():
        if median > 1.5 or median < 0.25:
            yield (
                "error" if plane == "X" else "warning",
                "energy",
                f"The median energy seen on plane {names[plane]} is {median:.2f} of the electron's: check adc_per_mev.",
            )


def _overlays(card: Card) -> Iterator[Problem]:
    with_images = [row for row in card["shards"] if row["images"]]
    bare = [row for row in with_images if not row["with_background"]]
    if bare and len(bare) < len(with_images):
        yield (
            "warning",
            "background",
            f"No image of {len(bare):,} of {len(with_images):,} shards such as {bare[0]['shard']} lies over a "
            "background event, images of the others do.",
        )
    overlay = card["overlay"]
    if overlay and overlay["with_background"] < overlay["events"]:
        left = overlay["events"] - overlay["with_background"]
        yield (
            "warning",
            "background",
            f"{left:,} of {overlay['events']:,} events had no background event left for them.",
        )
    if overlay and overlay["pool_duplicates"]:
        yield (
            "note",
            "background",
            f"{overlay['pool_duplicates']:,} of {overlay['pool_events']:,} background events were copies of others; "
            "each content was laid over once.",
        )


def _volumes(rows: list[Json]) -> str:
    shown = [
        f"{volume_name(row['apa'], row['face'])} plane {row['plane']} ({_percent(row['share'])} agree)" for row in rows
    ]
    return ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")


def _n(found: Mapping[str, Any], key: str) -> str:
    return f"{found[key]:,}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"

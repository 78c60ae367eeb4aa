"""The command line of every stage: its options, which are the parameters of the stage's ``run``.

Kept apart from the stages so that ``--help`` needs no numpy; a test holds this table and the signatures together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Option:
    """One option: a value, or the path of an input or output."""

    name: str
    help: str
    kind: Literal["input", "inputs", "output", "text", "number"] = "input"
    required: bool = True
    positional: bool = False
    short: str | None = None

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Command:
    """One stage on the command line."""

    help: str
    options: tuple[Option, ...]


_CALIBRATION = Option("calibration", "calibration.json, for adc_per_mev `calibrated`", required=False)
_DATASET = Option("dataset", "split.npz of the dataset; its shards are found beside it")
_MODEL = Option("model", "trained network (.keras)")
_TRAINING = Option("training", "training.json that belongs to the network")
_PREDICTIONS_OUT = Option("predictions", "predictions to write (.npz)", "output")

COMMANDS: dict[str, Command] = {
    "simulate": Command(
        "Simulate neutrino interactions and backgrounds in liquid argon; write their TPs as TPStream ROOT.",
        (
            Option("sample", "name of the sample; part of the random seed", "text"),
            Option("chunk", "number of the chunk; part of the random seed", "number"),
            Option("tpstream", "TPStream file to write (.root)", "output"),
        ),
    ),
    "match": Command(
        "Attach MC truth to trigger primitives; lay background events over them.",
        (
            Option("tpstream", "TPStream files (.root)", "inputs", positional=True),
            Option("background", "TPStream files of background events, to lay over (.root)", "inputs", required=False),
            Option("tps", "TPs with truth to write (.parquet)", "output", short="-o"),
        ),
    ),
    "calibrate": Command(
        "Measure ADC per MeV and per electron on TPs with truth.",
        (
            Option("tps", "TPs with truth (.parquet)", "inputs", positional=True),
            Option("calibration", "figures to write (.json); plots go beside them", "output"),
            Option("report", "report to write (.pdf)", "output"),
        ),
    ),
    "cluster": Command(
        "Cluster TPs per event, plane and APA; link the planes; find main clusters.",
        (
            Option("tps", "TPs with truth (.parquet)", positional=True),
            _CALIBRATION,
            Option("clusters", "clustered TPs to write (.parquet)", "output", short="-o"),
        ),
    ),
    "image": Command(
        "Turn clusters into sparse images in one frame.",
        (
            Option("clusters", "clustered TPs (.parquet)", positional=True),
            _CALIBRATION,
            Option("shard", "sparse images to write (.npz)", "output", short="-o"),
        ),
    ),
    "dataset": Command(
        "Select and split images by event; describe them on a card.",
        (
            Option("shards", "sparse images (.npz)", "inputs", positional=True),
            Option("split", "split to write (.npz)", "output"),
            Option("card", "card to write (.json)", "output"),
            Option("page", "card to write for people (.html)", "output"),
        ),
    ),
    "train": Command(
        "Train one network.",
        (
            _DATASET,
            Option("model", "network to write (.keras)", "output"),
            Option("history", "loss per epoch to write (.csv)", "output"),
            Option("training", "summary to write (.json)", "output"),
        ),
    ),
    "evaluate": Command(
        "Predict val, calib and test; measure on test.",
        (
            *(replace(option, required=False) for option in (_DATASET, _MODEL, _TRAINING)),
            Option("history", "history.csv that belongs to the network", required=False),
            Option("imported", "val_predictions.npz of the predecessor, instead of a network", required=False),
            _PREDICTIONS_OUT,
            Option("metrics", "metrics to write (.json); plots go beside them", "output"),
            Option("report", "report to write (.pdf)", "output"),
        ),
    ),
    "likelihood": Command(
        "Build P(cos theta | E) from the calib split.",
        (
            Option("predictions", "predictions of evaluate (.npz)"),
            Option("likelihood", "tables to write (.npz)", "output"),
            Option("validation", "validation to write (.json); plots go beside it", "output"),
        ),
    ),
    "interpret": Command(
        "Show what the network uses: ablation of planes on the test split.",
        (
            _DATASET,
            _MODEL,
            _TRAINING,
            Option("attributions", "errors per event and ablation to write (.npz)", "output"),
            Option("interpretation", "summary to write (.json); plots go beside it", "output"),
            Option("report", "report to write (.pdf)", "output"),
        ),
    ),
    "predict": Command(
        "Apply a network to a dataset, with or without truth.",
        (_DATASET, _MODEL, _TRAINING, _PREDICTIONS_OUT),
    ),
    "point": Command(
        "Point at the supernova: log-likelihood of a burst over the sky.",
        (
            Option("predictions", "predictions (.npz)"),
            Option("likelihood", "likelihood tables (.npz)"),
            Option("sky", "sky map to write (.fits)", "output"),
            Option("pointing", "summary to write (.json)", "output"),
            Option("skymap", "picture to write (.png)", "output"),
        ),
    ),
    "report": Command(
        "Collect all results into the registry and a page.",
        (
            Option("page", "page to write (.html)", "output"),
            Option("registry_csv", "registry to write (.csv)", "output", required=False),
            Option("registry_json", "registry to write (.json)", "output", required=False),
        ),
    ),
}

"""Datasets: selection, the split by event, and the card."""

import json
import re

import numpy as np
import pytest
from matplotlib.container import BarContainer
from toy_dataset import recipe, record, shard_arrays, source, write

from snpoint.data.shards import load_dataset, read_split
from snpoint.errors import ConfigError, DataError
from snpoint.physics.datasetcard import ENERGY_EDGES_MEV
from snpoint.physics.summary import isotropy
from snpoint.plots import dataset as plots
from snpoint.stages import dataset


@pytest.fixture(autouse=True)
def unrendered(request, monkeypatch):
    """Rendering the figures takes seconds; only the test of the page does it."""
    monkeypatch.setattr(dataset, "MOSAIC", (2, 3))
    if "page_needs" not in request.node.name:
        monkeypatch.setattr(plots, "png_uri", lambda _: "data:image/png;base64,")


def make(folder, shards, **changes):
    """Run the stage; gives the split as event -> split, and the card."""
    out = folder / "dataset"
    files = {"split": out / "split.npz", "card": out / "card.json", "page": out / "card.html"}
    dataset.run(recipe(**changes), shards=shards, **files)
    split = read_split(files["split"])
    return dict(zip(split["event_uid"].tolist(), split["split"].tolist(), strict=True)), json.loads(
        files["card"].read_text()
    )


def test_isotropic_labels_pass_and_others_do_not():
    rng = np.random.default_rng(4)
    directions = rng.normal(size=(20_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert isotropy(directions)["largest_pull"] < 4
    directions[:, 0] = np.abs(directions[:, 0])
    assert isotropy(directions)["largest_pull"] > 50
    assert isotropy(np.full((5, 3), np.nan)) is None


def test_adding_a_file_moves_no_event(tmp_path):
    shards = write(tmp_path, *(shard_arrays(60, first_event=1000 * k) for k in range(3)))
    before, _ = make(tmp_path, shards[1:])
    after, _ = make(tmp_path, shards)
    assert len(before) == 120
    assert {uid: after[uid] for uid in before} == before


def test_card_counts_what_is_there(tmp_path):
    shards = write(tmp_path, shard_arrays(60), shard_arrays(40, first_event=1000, truth=False))
    split, card = make(tmp_path, shards)
    assert card["counts"] == {
        "images": 100,
        "background": 0,
        "without_truth": 40,
        "too_few_planes": 0,
        "passed": 60,
        "copies": 0,
        "events": 0,
        "events_passed": 60,
        "asked": None,
        "selected": 60,
    }
    assert [row["selected"] for row in card["shards"]] == [60, 0]
    assert sum(part["n"] for part in card["splits"].values()) == 60
    assert card["splits"]["train"]["n"] == list(split.values()).count(0)
    assert card["interactions"] == {"ES": 60}
    assert sum(volume["n"] for volume in card["volumes"]) == 60
    assert card["labels"]["mean_abs_error"] == pytest.approx(1 / np.sqrt(12 * 60), abs=1e-6)
    assert sum(card["energy_true_mev"]["histogram"]["counts"]) == 60


def test_selection_asks_for_planes_of_the_main_cluster(tmp_path):
    arrays = shard_arrays(200)
    arrays["in_main"] = (np.arange(len(arrays["tick"])) % 2).astype(np.uint8)
    main = np.array(
        [arrays["in_main"][a:b].sum() for a, b in zip(arrays["offsets"][:-1], arrays["offsets"][1:], strict=True)]
    )
    expected = arrays["event_uid"][(main.reshape(-1, 3) >= 2).all(axis=1)]
    split, card = make(tmp_path, write(tmp_path, arrays), min_planes=3, min_tps=2)
    assert set(split) == set(expected.tolist())
    assert card["planes_found"]["selected"]["on 3 planes"] == 1.0
    assert card["planes_found"]["before_selection"]["on 3 planes"] == pytest.approx(len(expected) / 200)


def test_more_than_asked_is_cut(tmp_path):
    shards = write(tmp_path, shard_arrays(100))
    cut, card = make(tmp_path, shards, images=30)
    assert len(cut) == card["counts"]["selected"] == 30
    everything, _ = make(tmp_path, shards)
    assert {uid: everything[uid] for uid in cut} == cut


def test_data_without_truth_make_a_dataset(tmp_path):
    _, card = make(tmp_path, write(tmp_path, shard_arrays(10, truth=False)), truth=False, shares=(0.0, 0.0, 0.0, 1.0))
    assert card["labels"] is None
    assert card["energy_true_mev"] is None
    assert card["splits"]["test"]["n"] == 10
    assert len(load_dataset(tmp_path / "dataset" / "split.npz")) == 10


def test_page_needs_no_other_file(tmp_path):
    make(tmp_path, write(tmp_path, shard_arrays(30)))
    page = (tmp_path / "dataset" / "card.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_empty_selection_says_what_removed_the_images(tmp_path):
    shards = write(tmp_path, shard_arrays(30, truth=False))
    with pytest.raises(DataError, match=r"split\.npz: no image is left of 30: 30 removed by selection\.require_truth"):
        make(tmp_path, shards)
    shards = write(tmp_path, shard_arrays(30))
    with pytest.raises(DataError, match=r"30 by selection\.min_planes = 3 \(min_tps_per_plane = 99\)"):
        make(tmp_path, shards, min_planes=3, min_tps=99)
    assert not (tmp_path / "dataset").exists()


def test_event_in_two_shards_is_named(tmp_path):
    shards = write(tmp_path, shard_arrays(30), shard_arrays(30, first_event=20))
    with pytest.raises(
        DataError, match=r"10 events are there twice, such as run 7, subrun 0, event 2\d, also in shard_s_0000"
    ):
        make(tmp_path, shards)


def test_files_behind_an_event_in_two_shards_are_named(tmp_path):
    copies = [
        shard_arrays(30) | {"sources": record(source(name), source("x.root", problem="truncated"))}
        for name in ("a.root", "b.root")
    ]
    text = r"shard_s_0001\.npz \(made of b\.root\): 30 .*also in shard_s_0000\.npz \(made of a\.root\); .*exclude:"
    with pytest.raises(DataError, match=text):
        make(tmp_path, write(tmp_path, *copies))


def test_shards_of_two_frames_are_refused(tmp_path):
    other = shard_arrays(30, first_event=100) | {"orientation": np.array("predecessor")}
    shards = write(tmp_path, shard_arrays(30), other)
    with pytest.raises(DataError, match=r"shard_s_0001\.npz: 'orientation' is predecessor, but canonical"):
        make(tmp_path, shards)


def test_shares_must_add_up(tmp_path):
    with pytest.raises(ConfigError, match=r"dataset\.split: shares .* add up to 0\.9"):
        make(tmp_path, write(tmp_path, shard_arrays(30)), shares=(0.6, 0.1, 0.1, 0.1))


def columns_of(n, seed=5):
    """What the overview shows, for so many images."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(n, 3))
    return {
        "direction": direction / np.linalg.norm(direction, axis=1, keepdims=True),
        "energy_true_mev": rng.uniform(5, 30, n),
        "energy_reco_mev": rng.uniform(5, 30, (n, 3)),
        "n_tps": rng.integers(1, 15, (n, 3)),
        "interaction": np.ones(n, np.uint8),
        "split": {"train": n, "val": 0},
        "volumes": [(f"APA {k} x<0", 1) for k in range(min(n, 8))],
        "planes": ("A", "B", "X"),
    }


@pytest.mark.parametrize("n", [1, 10, 99])
def test_few_images_are_shown_side_by_side_and_counted_in_whole_numbers(n):
    canvas = plots.overview(columns_of(n), ENERGY_EDGES_MEV)
    canvas.canvas.draw()
    for axis in (canvas.axes[1], canvas.axes[2], canvas.axes[3]):
        bars = [container for container in axis.containers if isinstance(container, BarContainer)]
        assert len(bars) == 3
        assert len({bar.patches[0].get_x() for bar in bars}) == 3
        assert all(sum(patch.get_height() for patch in bar.patches) == n for bar in bars)
        assert len(bars[0].patches) <= 10
    for axis in canvas.axes:
        assert all(tick == round(tick) for tick in axis.get_yticks())


def test_many_images_are_shown_as_steps():
    canvas = plots.overview(columns_of(100), ENERGY_EDGES_MEV)
    assert not any(isinstance(container, BarContainer) for container in canvas.axes[1].containers)


def test_the_band_of_the_directions_is_named():
    canvas = plots.overview(columns_of(10), ENERGY_EDGES_MEV)
    assert "its scatter (1 sigma)" in [text.get_text() for text in canvas.axes[2].get_legend().get_texts()]


def test_page_leaves_out_what_was_not_compared_and_counts_small_numbers(tmp_path):
    _, card = make(tmp_path, write(tmp_path, shard_arrays(30)))
    page = (tmp_path / "dataset" / "card.html").read_text()
    assert card["main"]["n_compared"] == 0
    assert "main, but not of the highest energy" not in page
    few = [row for row in card["slopes"] if row["n"] < 10]
    assert few
    for row in few:
        assert f"<td>{round(row['share'] * row['n'])} of {row['n']}</td>" in page
    assert "± 50.0" not in page


def test_pictures_of_the_page_have_texts_and_scroll_for_themselves(tmp_path):
    make(tmp_path, write(tmp_path, shard_arrays(30)))
    page = (tmp_path / "dataset" / "card.html").read_text()
    texts = re.findall(r'<img alt="([^"]*)"', page)
    assert len(texts) == page.count("<img") == 5
    assert all(len(text) > 30 for text in texts)
    assert "figure { margin: 0; overflow-x: auto;" in page

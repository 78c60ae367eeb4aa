"""Each mistake that once cost weeks, planted into a good dataset: the card shows it, or the stage refuses it."""

import json
import re

import numpy as np
import pytest
from toy_dataset import N, good, in_pairs, recipe, record, source, write

from snpoint.errors import DataError
from snpoint.plots import dataset as plots
from snpoint.stages import dataset


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    """The figures take most of the time and show nothing that is tested here."""
    for name in ("examples", "mosaic", "overview"):
        monkeypatch.setattr(plots, name, lambda *_: None)
    monkeypatch.setattr(plots, "png_uri", lambda _: "data:image/png;base64,")


def card_of(folder, *shards, **changes):
    out = folder / "dataset"
    files = {"split": out / "split.npz", "card": out / "card.json", "page": out / "card.html"}
    dataset.run(recipe(**changes), shards=write(folder, *shards), **files)
    return json.loads(files["card"].read_text())


def seen(card, severity="error"):
    return {problem["what"] for problem in card["problems"] if problem["severity"] == severity}


def text(card):
    return "\n".join(problem["text"] for problem in card["problems"])


def test_good_dataset_has_no_problems(tmp_path):
    assert card_of(tmp_path, good())["problems"] == []


def test_events_that_give_no_image_are_counted_as_losses(tmp_path):
    arrays = good(files=[source(n_events=640), source("prodmarley_es_2.root", n_events=160, problem="broken")])
    second = in_pairs(arrays)
    card = card_of(tmp_path, arrays, max_quarantined=0.5)
    assert second.sum() == 300
    assert (card["counts"]["events"], card["counts"]["events_passed"]) == (640, 300)


def test_several_clusters_per_event_are_no_problem(tmp_path):
    arrays = good()
    second = in_pairs(arrays)
    arrays["signal_fraction"][second] = np.linspace(0, 1, second.sum())
    card = card_of(tmp_path, arrays)
    assert card["problems"] == []
    assert card["main"]["share_main"] == 0.5


def test_positions_taken_for_directions(tmp_path):
    arrays = good()
    vertex = arrays["vertex_cm"]
    arrays["direction"] = vertex / np.linalg.norm(vertex, axis=1, keepdims=True)
    card = card_of(tmp_path, arrays)
    assert card["label_checks"]["vertex_cosine"] == pytest.approx(1.0)
    assert "positions may have been taken for momenta" in text(card)
    assert "not isotropic" in text(card)


def test_energies_taken_for_momenta(tmp_path):
    arrays = good()
    columns = np.stack(
        [arrays["direction"][:, 2], arrays["energy_true_mev"] / 20, arrays["energy_reco_mev"][:, 2] / 20]
    )
    arrays["direction"] = (columns / np.linalg.norm(columns, axis=0)).T.astype(np.float32)
    card = card_of(tmp_path, arrays)
    assert "columns may have been mixed up" in text(card)
    assert "labels" in seen(card)


def test_momentum_zero(tmp_path):
    arrays = good()
    arrays["energy_true_mev"][:470] = 0.0
    card = card_of(tmp_path, arrays)
    assert card["label_checks"]["n_zero_momentum"] == 470
    assert "470 images have a direction, but |p| = 0" in text(card)


def test_signal_without_a_label(tmp_path):
    arrays = good()
    arrays["direction"][:20] = np.nan
    assert "20 signal images have no true direction" in text(card_of(tmp_path, arrays, truth=False))


def test_one_direction_for_all(tmp_path):
    arrays = good()
    arrays["direction"][:] = arrays["direction"][np.arange(N) % 7]
    assert f"Only 7 different directions in {N} events" in text(card_of(tmp_path, arrays))


def test_most_main_clusters_are_background(tmp_path):
    arrays = good()
    arrays["signal_fraction"][: int(0.78 * N)] = 0.0
    card = card_of(tmp_path, arrays)
    assert "Only 22.0% of the main clusters are signal" in text(card)


def test_main_cluster_chosen_by_truth(tmp_path):
    arrays = good()
    second = in_pairs(arrays)
    arrays["energy_reco_mev"][second] *= 4
    card = card_of(tmp_path, arrays)
    assert f"{N // 2} of {N // 2} main clusters are not the one of the highest energy" in text(card)


def test_main_cluster_confused_with_signal(tmp_path):
    arrays = good()
    second = in_pairs(arrays)
    arrays["signal_fraction"][second] = 0.0
    assert "Main cluster and signal are the same" in text(card_of(tmp_path, arrays))


def test_two_main_clusters_in_an_event(tmp_path):
    arrays = good()
    second = in_pairs(arrays)
    arrays["is_main"][second] = 1
    assert f"{N // 2} events have several main clusters" in text(card_of(tmp_path, arrays))


def test_wrong_detector_number(tmp_path):
    arrays = good()
    arrays["apa"][:] = 0
    assert "geometry" in seen(card_of(tmp_path, arrays))


def test_sign_of_x_from_a_wrong_threshold(tmp_path):
    arrays = good()
    odd = arrays["apa"] % 2 == 1
    arrays["face"][odd] *= -1
    card = card_of(tmp_path, arrays)
    assert "are on the side (sign of x) of their vertex" in text(card)
    assert card["places"]["right_face"] == pytest.approx(1 - odd.mean())


def test_mirrored_drift_volumes(tmp_path):
    """The predecessor flipped time by a wrong sign of x on odd APAs."""
    arrays = good()
    of_image = np.repeat(np.arange(N), np.diff(arrays["offsets"][::3]))
    odd = (arrays["apa"] % 2 == 1)[of_image]
    length = arrays["samples_over_threshold"].astype(np.int16)
    arrays["tick"] = np.where(odd, -(arrays["tick"] + length - 1), arrays["tick"]).astype(np.int16)
    card = card_of(tmp_path, arrays)
    mirrored = {row["apa"] for row in card["slopes"] if row["share"] < 0.3}
    assert mirrored == {1, 3}
    assert "an axis of these images is mirrored" in text(card)
    assert "APA 1 x<0 plane X" in text(card)


def test_labels_of_other_images(tmp_path):
    arrays = good()
    arrays["direction"] = np.roll(arrays["direction"], 1, axis=0)
    assert "images and labels may not belong together" in text(card_of(tmp_path, arrays))


def test_images_of_two_sizes(tmp_path):
    """Images of 16 and of 32 channels were once read as one dataset."""
    narrow = good(seed=4) | {"sources": record(source("prodmarley_es_2.root"))}
    narrow["event_uid"] += np.uint64(N)
    narrow["channel"] = np.clip(narrow["channel"], -3, 2)
    card = card_of(tmp_path, good(), narrow)
    assert "shards such as shard_s_0001.npz have fewer channels (-3 to 2) than others" in text(card)


def test_energy_four_times_too_high(tmp_path):
    arrays = good()
    arrays["energy_reco_mev"][:, 2] *= 4
    assert "energy" in seen(card_of(tmp_path, arrays))


def test_fewer_images_than_the_name_says(tmp_path):
    with pytest.raises(DataError, match=r"700 images were asked for \(dataset\.images\), 600 found: 600 of 600 pass"):
        card_of(tmp_path, good(), images=700)
    card = card_of(tmp_path, good(), images=700, allow_fewer=True)
    assert (card["counts"]["asked"], card["counts"]["selected"]) == (700, 600)
    assert "700 images were asked for, 600 found (100 missing)" in text(card)
    assert "(100 missing)" in (tmp_path / "dataset" / "card.html").read_text()


def test_two_productions(tmp_path):
    both = record(source("a.root", "nov10/prodmarley_es"), source("b.root", "nov11/prodmarley_es"))
    arrays = good() | {"sources": both}
    with pytest.raises(DataError, match=r"files of 2 productions are mixed: 'nov10/prodmarley_es' \(1 files such as a"):
        card_of(tmp_path, arrays)
    with pytest.raises(DataError, match=r"dataset\.productions \['nov11/\*'\] does not name: 'nov10/prodmarley_es'"):
        card_of(tmp_path, arrays, productions=["nov11/*"])
    with pytest.raises(DataError, match=r"'nov1\?/\*' in dataset\.productions fits 2 productions"):
        card_of(tmp_path, arrays, productions=["nov1?/*"])
    card = card_of(tmp_path, arrays, productions=["nov10/*", "nov11/*"])
    assert [(entry["tag"], entry["files"]) for entry in card["productions"]] == [
        ("nov10/prodmarley_es", 1),
        ("nov11/prodmarley_es", 1),
    ]
    assert "Files of 2 productions are mixed, as declared" in text(card)


def test_background_of_two_productions(tmp_path):
    pool = [source("c.root", "bkg_nov10"), source("d.root", "bkg_nov11")]
    with pytest.raises(DataError, match="'bkg_nov10'"):
        card_of(tmp_path, good(background=pool))
    assert card_of(tmp_path, good(background=pool[:1]), productions=["prod*"])["problems"] == []


@pytest.mark.parametrize("name", ["a.root", "b.root"])
def test_one_file_under_two_names_or_in_two_folders(tmp_path, name):
    arrays = good() | {
        "sources": record(source("a.root", "nov10/p", sha256="77"), source(name, "nov11/p", sha256="77"))
    }
    with pytest.raises(DataError, match=rf"a\.root \('nov10/p'\) and {name} \('nov11/p'\) have the same content"):
        card_of(tmp_path, arrays)


def test_files_without_events_may_be_equal(tmp_path):
    files = [source(name, sha256="77", n_events=0) for name in ("a.root", "b.root")]
    assert card_of(tmp_path, good() | {"sources": record(*files)})["problems"] == []


def test_third_of_the_backgrounds_is_used_twice(tmp_path):
    arrays = good()
    copied = np.arange(N)[: int(0.338 * N)]
    arrays["background_fingerprint"][copied] = arrays["background_fingerprint"][copied // 4 * 4]
    with pytest.raises(DataError, match=r"background events are there several times: 20\d of 600 images \(33"):
        card_of(tmp_path, arrays)
    card = card_of(tmp_path, arrays, duplicates="drop")
    assert card["duplicates"]["backgrounds"]["most_events"] == 4
    assert card["counts"]["copies"] == card["duplicates"]["backgrounds"]["n_later"] == 600 - card["counts"]["selected"]
    assert card["in_several_splits"] == {"events": 0, "images": 0, "backgrounds": 0}
    assert "up to 4 of one" in text(card)


def test_copied_clusters(tmp_path):
    arrays = good()
    arrays["fingerprint"][-50:] = arrays["fingerprint"][:50]
    with pytest.raises(DataError, match=r"images are there several times: 100 of 600") as caught:
        card_of(tmp_path, arrays)
    example = r"event (\d+) \(shard_s_0000\.npz, row \1\) and .*event (5\d\d) \(shard_s_0000\.npz, row \2\)"
    assert re.search(example, str(caught.value))
    card = card_of(tmp_path, arrays, duplicates="drop")
    assert card["counts"]["selected"] == 550


def test_balance_of_one_class(tmp_path):
    with pytest.raises(DataError, match=r"dataset\.balance = 'interaction' needs two classes, found only ES"):
        card_of(tmp_path, good(), balance="interaction")


def test_balance_evens_the_classes_out(tmp_path):
    arrays = good()
    arrays["interaction"][:150], arrays["interaction"][150:160] = 2, 255
    card = card_of(tmp_path, arrays, balance="interaction")
    assert card["interactions"] == {"ES": 150, "CC": 150}
    assert (card["counts"]["of_no_class"], card["counts"]["classes"]) == (10, {"1": 440, "2": 150})
    assert card_of(tmp_path, arrays, balance="interaction", images=101)["counts"]["selected"] == 100


def test_count_that_balancing_cut_names_the_class_that_is_short(tmp_path):
    arrays = good()
    arrays["interaction"][:10], arrays["interaction"][10:15] = 2, 255
    text = (
        r"500 images were asked for \(dataset\.images\), 20 found: 600 of 600 pass the selection, 0 of these are copies"
        r"; dataset\.balance = 'interaction' takes equal numbers of 585 ES and 10 CC \(5 of no class left out\): CC is"
    )
    with pytest.raises(DataError, match=text):
        card_of(tmp_path, arrays, balance="interaction", images=500)


def test_interaction_that_the_settings_gave_against_the_truth_tables(tmp_path):
    files = [source(f"{n}.root", forced={"as": "CC", "ES": es, "CC": 10 - es}) for n, es in enumerate((10, 0, 7))]
    card = card_of(tmp_path, good() | {"sources": record(*files)})
    assert "interaction" in seen(card, "warning")
    assert "makes all interactions CC, but by the truth tables of 2 files 17 of 20 are ES" in text(card)
    assert card_of(tmp_path, good() | {"sources": record(files[1])})["problems"] == []


def test_files_of_one_name_made_weeks_apart(tmp_path):
    def files(*days):
        return [source(f"prod_es_{day}T123456Z_gen_000017_20251201T000000Z.root") for day in days]

    card = card_of(tmp_path, good() | {"sources": record(*files("20251110", "20251112", "20251119"))})
    assert "made from 2025-11-10 to 2025-11-19, by their names such as prod_es_20251110T" in text(card)
    assert seen(card, "note") == {"productions"}
    assert card_of(tmp_path, good() | {"sources": record(*files("20251110", "20251117"))})["problems"] == []
    odd = [source("prod_es_20259999T123456Z.root"), *files("20251110")]
    assert card_of(tmp_path, good() | {"sources": record(*odd)})["problems"] == []


def test_shard_without_the_background_that_others_have(tmp_path):
    bare, other = good(seed=5) | {"sources": record(source("b.root"))}, good()
    bare["event_uid"] += np.uint64(1 << 40)
    for key in ("background_uid", "background_fingerprint"):
        bare[key][:] = 0
    card = card_of(tmp_path, other, bare)
    assert [row["with_background"] for row in card["shards"]] == [600, 0]
    assert "No image of 1 of 2 shards such as shard_s_0001.npz lies over a background event" in text(card)
    assert card_of(tmp_path, bare)["problems"] == []


def test_broken_files_within_and_beyond_the_budget(tmp_path):
    files = [source(f"{number}.root") for number in range(9)] + [source("bad.root", problem="truncated")]
    arrays = good() | {"sources": record(*files)}
    with pytest.raises(
        DataError, match=r"1 of 10 input files are broken, .*max_quarantined = 0 .*bad\.root \(truncated\)"
    ):
        card_of(tmp_path, arrays)
    card = card_of(tmp_path, arrays, max_quarantined=0.1)
    assert "1 of 10 input files were left out: bad.root (truncated)" in text(card)
    assert "bad.root" in (tmp_path / "dataset" / "card.html").read_text()


def test_broken_files_are_a_table_of_the_page(tmp_path):
    files = [source(f"prodmarley_es_{number}.root") for number in range(9)]
    bad = source("bad.root", tag=None, problem="/eos/es/bad.root: not readable", n_events=0)
    card_of(tmp_path, good() | {"sources": record(*files, bad)}, max_quarantined=0.1)
    page = (tmp_path / "dataset" / "card.html").read_text()
    assert "1 of 10 input files were left out.\n" in page
    assert '<td class="text">bad.root</td><td class="text">not readable</td>' in page
    assert "/eos/es" not in page


def test_broken_background_files_have_a_budget_of_their_own(tmp_path):
    pool = [source("c.root", "pool"), source("bad_bg.root", problem="truncated")]
    arrays = good() | {"sources": record(*(source(f"{number}.root") for number in range(18)), background=pool)}
    with pytest.raises(DataError, match=r"1 of 2 background files are broken, .*bad_bg\.root \(truncated\)"):
        card_of(tmp_path, arrays, max_quarantined=0.1)
    card = card_of(tmp_path, arrays, max_quarantined=0.5)
    assert "1 of 2 background files were left out: bad_bg.root (truncated)" in text(card)


def test_chunk_of_broken_files_has_no_images(tmp_path):
    per_image = {key: values[:0] for key, values in good(5).items() if values.ndim}
    empty = good(5) | per_image | {"offsets": np.zeros(1, np.int64)}
    empty["sources"] = record(source("bad.root", problem="truncated"))
    card = card_of(tmp_path, good(), empty, max_quarantined=0.5)
    assert [row["images"] for row in card["shards"]] == [600, 0]


def test_stand_in_shows_a_banner(tmp_path):
    card = card_of(tmp_path, good() | {"sources": record(source(tag="stand_in:production_es"))})
    assert card["stand_ins"] == ["stand_in:production_es"]
    assert "Stand-in: stand_in:production_es" in (tmp_path / "dataset" / "card.html").read_text()


def test_stand_in_of_the_background_shows_a_banner(tmp_path):
    card = card_of(tmp_path, good(background=[source("c.root", "stand_in:production_bg")]))
    assert card["stand_ins"] == ["stand_in:production_bg"]
    assert "stand-in" in seen(card, "warning")
    assert "Stand-in: stand_in:production_bg" in (tmp_path / "dataset" / "card.html").read_text()


def test_events_left_without_background(tmp_path):
    counts = {"events": 600, "with_background": 500, "pool_events": 520, "pool_duplicates": 20, "noise_tps_dropped": 7}
    card = card_of(tmp_path, good(overlay=counts))
    assert "100 of 600 events had no background event left" in text(card)
    assert "background" in seen(card, "note")


def test_efficiency_and_purity_of_truth_methods(tmp_path):
    comparison = {"simide": {plane: {"bt": 200, "found": 160, "both": 150} for plane in "UVX"}}
    card = card_of(tmp_path, good(comparison=comparison))
    assert card["truth_agreement"][0]["efficiency"] == 0.75
    assert card["truth_agreement"][0]["purity"] == 0.9375
    assert "93.8%" in (tmp_path / "dataset" / "card.html").read_text()


def test_frame_of_the_predecessor_is_named(tmp_path):
    card = card_of(tmp_path, good() | {"orientation": np.array("predecessor")})
    assert seen(card, "warning") == {"orientation"}
    assert card["slopes"] == []
    page = (tmp_path / "dataset" / "card.html").read_text()
    assert "plane U" in page
    assert "<th>V</th>" in page
    assert "plane A" not in page
    assert card["frame"]["planes"] == {"A": "U", "B": "V", "X": "X"}


def test_volumes_that_imported_images_do_not_know(tmp_path, monkeypatch):
    seen_volumes = []
    monkeypatch.setattr(plots, "overview", lambda columns, _: seen_volumes.extend(columns["volumes"]))
    arrays = good()
    arrays["apa"][:], arrays["face"][:] = 255, 0
    card = card_of(tmp_path, arrays)
    assert seen_volumes == [("not known", N)]
    assert card["volumes"] == [{"apa": 255, "face": 0, "n": N}]
    assert "APA 255" not in (tmp_path / "dataset" / "card.html").read_text()


def test_shards_are_hashed_once(tmp_path, monkeypatch):
    hashed = []
    once = dataset.fingerprint
    monkeypatch.setattr(dataset, "fingerprint", lambda path: hashed.append(path.name) or once(path))
    card = card_of(tmp_path, good())
    assert hashed == ["shard_s_0000.npz"]
    assert card["shards"][0]["sha256"] == once(tmp_path / "image" / "shard_s_0000.npz")["sha256"]

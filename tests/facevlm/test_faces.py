import dataclasses
import itertools
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from facevlm.images import Box, region_boxes
from facevlm.tiny import population as people
from facevlm.tiny.faces import FACE_AUS, HIDES, Occluder, Scene, look, render, scene
from facevlm.vocab import AUS, EXCLUSIVE, Region

SUBJECTS = range(6)


def pixels(subject: int, aus: dict[int, float], view: Scene | None = None) -> NDArray[np.float64]:
    return np.asarray(render(aus, look(subject), view).image, dtype=np.float64)


def change(subject: int, aus: dict[int, float], view: Scene | None = None) -> NDArray[np.float64]:
    """(rows, columns) mean grey levels by which showing `aus` changes a face."""
    apart = np.abs(pixels(subject, aus, view) - pixels(subject, {}, view))
    return np.asarray(apart.mean(-1), dtype=np.float64)


def inside(boxes: list[Box], size: int = 112) -> NDArray[np.bool_]:
    mask = np.zeros((size, size), dtype=bool)
    for left, top, right, bottom in boxes:
        mask[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1] = True
    return mask


# -- faces


def test_same_subject_has_the_same_look_and_others_do_not() -> None:
    look.cache_clear()
    first = [look(i) for i in range(200)]
    look.cache_clear()
    assert [look(i) for i in range(200)] == first
    assert len(set(first)) == 200


def test_same_input_draws_the_same_pixels() -> None:
    view = scene(np.random.default_rng(3))
    one, two = (render({12: 3}, look(1), view, seed=5) for _ in range(2))
    assert one.image.tobytes() == two.image.tobytes()
    np.testing.assert_array_equal(one.landmarks, two.landmarks)


def test_picture_is_rgb_of_the_size_asked_with_its_landmarks_inside() -> None:
    face = render({}, look(0), size=64)
    assert (face.image.mode, face.image.size, face.landmarks.shape) == ("RGB", (64, 64), (68, 2))
    assert face.landmarks.min() > 0 and face.landmarks.max() < 64


def test_landmarks_scale_with_the_picture() -> None:
    np.testing.assert_allclose(render({}, look(0), size=224).landmarks, 2 * render({}, look(0), size=112).landmarks)


def test_skin_tones_and_ages_are_all_there() -> None:
    looks = [look(i) for i in range(300)]
    assert {who.skin for who in looks} == set(range(1, 8))
    assert {who.age for who in looks} == {"young", "middle", "old"}
    assert {who.style for who in looks} == {0, 1, 2}


@pytest.mark.parametrize("au", FACE_AUS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_au_changes_pixels_inside_its_own_region(au: int, subject: int) -> None:
    moved = change(subject, {au: 3})
    landmarks = render({au: 3}, look(subject)).landmarks
    boxes = inside(region_boxes(landmarks)[AUS[au].region])
    assert moved[boxes].max() > 15
    # Density, not the sum: a large box would hold a share of any change.
    assert moved[boxes].mean() > 2 * moved[~boxes].mean()


@pytest.mark.parametrize("au", FACE_AUS)
def test_stronger_au_changes_more(au: int) -> None:
    trace, marked, maximum = (np.mean([change(s, {au: level}).sum() for s in SUBJECTS]) for level in (1, 3, 5))
    assert 0 < trace < marked < maximum


@pytest.mark.parametrize(("one", "two"), list(itertools.combinations(FACE_AUS, 2)))
def test_any_two_aus_look_different(one: int, two: int) -> None:
    assert np.abs(pixels(0, {one: 3}) - pixels(0, {two: 3})).max() > 25


@pytest.mark.parametrize("aus", [{3: 1.0}, {12: 5.1}, {12: -1.0}, {12: float("nan")}])
def test_what_cannot_be_drawn_is_refused(aus: dict[int, float]) -> None:
    with pytest.raises(ValueError, match="cannot draw"):
        render(aus, look(0))


@pytest.mark.parametrize("au", [12, 14])
def test_one_sided_au_shows_on_that_side_only(au: int) -> None:
    left = change(0, {au: 5}, Scene(one_sided="left"))
    half = slice(0, 50), slice(62, 112)
    assert left[:, half[0]].sum() > 5 * left[:, half[1]].sum()


@pytest.mark.parametrize("occluder", [o for o in get_args(Occluder) if o != "none"])
def test_occluder_is_seen_and_says_what_it_hides(occluder: Occluder) -> None:
    view = Scene(occluder=occluder)
    assert render({}, look(0), view).hidden == HIDES[occluder] != frozenset()
    assert np.abs(pixels(0, {}, view) - pixels(0, {})).max() > 40


def test_plain_face_hides_nothing() -> None:
    assert render({}, look(0)).hidden == frozenset()


@pytest.mark.parametrize(("occluder", "region"), [("sunglasses", "eyes"), ("hand", "lips"), ("fringe", "brow")])
def test_hidden_region_shows_little_of_its_aus(occluder: Occluder, region: Region) -> None:
    for au in (n for n in FACE_AUS if AUS[n].region == region):
        assert change(0, {au: 4}, Scene(occluder=occluder)).sum() < 0.3 * change(0, {au: 4}).sum()


def test_light_noise_and_pose_change_the_picture_but_not_the_person() -> None:
    rng = np.random.default_rng(0)
    views = [scene(rng, occluded=0) for _ in range(5)]
    pictures = {render({}, look(0), view).image.tobytes() for view in views}
    assert len(pictures) == 5


def test_share_of_occluded_scenes_is_the_one_asked_for() -> None:
    rng = np.random.default_rng(0)
    seen = [scene(rng, occluded=0.3).occluder for _ in range(500)]
    assert 0.22 < np.mean([o != "none" for o in seen]) < 0.38
    assert set(seen) == set(get_args(Occluder))
    assert {scene(rng, occluded=0).occluder for _ in range(100)} == {"none"}


# -- populations


def test_subject_ranges_are_disjoint() -> None:
    ranges = (people.BASE_SUBJECTS, people.BASE_TEST_SUBJECTS, people.SOURCE_SUBJECTS)
    for a, b in itertools.combinations(ranges, 2):
        assert max(a.start, b.start) >= min(a.stop, b.stop)


def test_exclusive_aus_never_stand_together() -> None:
    rng = np.random.default_rng(0)
    drawn = [people.independent_aus(rng, share=0.8) for _ in range(300)]
    drawn += [people.emotional_aus(emotion, rng) for emotion in people.EMOTIONS for _ in range(100)]
    assert not any({a, b} <= levels.keys() for levels in drawn for a, b in EXCLUSIVE)


def test_stronger_of_an_exclusive_pair_stays() -> None:
    levels = {24: 2, 25: 5}
    people._drop_impossible(levels)
    assert levels == {25: 5}


def test_levels_are_facs_intensities_of_aus_that_can_be_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = [people.independent_aus(rng) for _ in range(300)]
    levels = [level for face in drawn for level in face.values()]
    assert set(levels) == {1, 2, 3, 4, 5}
    assert {n for face in drawn for n in face} == set(FACE_AUS)


def test_every_emotion_but_neutral_shows_something() -> None:
    rng = np.random.default_rng(0)
    for emotion in people.EMOTIONS[1:]:
        faces = [people.emotional_aus(emotion, rng) for _ in range(100)]
        assert np.mean([any(v >= people.THRESHOLD for v in levels.values()) for levels in faces]) > 0.97


def test_neutral_faces_show_only_stray_aus() -> None:
    rng = np.random.default_rng(0)
    assert np.mean([len(people.emotional_aus("neutral", rng)) for _ in range(300)]) < 0.6


@pytest.mark.parametrize("seed", range(12))
def test_aus_under_an_occluder_are_not_labelled(seed: int) -> None:
    levels = {1: 3, 5: 4, 6: 2, 12: 5, 25: 2}
    sample = people.draw(seed, levels, np.random.default_rng(seed), 64, occluded=1.0)
    hidden = {n for n in FACE_AUS if AUS[n].region in HIDES[sample.view.occluder]}
    assert hidden
    assert sample.aus == {n: levels.get(n, 0) for n in FACE_AUS if n not in hidden}


def test_without_occluder_every_au_is_labelled() -> None:
    sample = people.draw(3, {12: 4}, np.random.default_rng(0), 64, occluded=0, emotion="happiness")
    assert sample.aus == dict.fromkeys(FACE_AUS, 0) | {12: 4}
    assert (sample.subject, sample.emotion) == (3, "happiness")


def test_contempt_shows_on_one_side() -> None:
    rng = np.random.default_rng(0)
    sides = {people.draw(0, {12: 4}, rng, 32, emotion="contempt").view.one_sided for _ in range(20)}
    assert sides == {"left", "right"}
    assert people.draw(0, {12: 4}, rng, 32, emotion="happiness").view.one_sided == ""


def test_same_seed_draws_the_same_sample() -> None:
    one, two = (people.draw(5, {12: 4}, np.random.default_rng(9), 48) for _ in range(2))
    assert one.face.image.tobytes() == two.face.image.tobytes()
    assert dataclasses.replace(one, face=two.face) == two

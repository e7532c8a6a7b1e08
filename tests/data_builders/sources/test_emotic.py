import io
from typing import Any

import numpy as np
import pytest

from data_builders.sources.emotic import SOURCE
from facevlm.config import ConfigError

scipy_io = pytest.importorskip("scipy.io")


def structs(*items: dict[str, Any]) -> np.ndarray:
    """A MATLAB array of structs, [] if there are none."""
    if not items:
        return np.zeros((0, 0))
    keys = list(dict.fromkeys(key for item in items for key in item))
    array = np.empty((1, len(items)), dtype=[(key, object) for key in keys])
    for i, item in enumerate(items):
        array[0, i] = tuple(item.get(key, np.array([])) for key in keys)
    return array


def cell(*words: str) -> np.ndarray:
    return np.array([words], dtype=object)


def axes(valence: float, arousal: float, dominance: float) -> dict[str, float]:
    return {"valence": valence, "arousal": arousal, "dominance": dominance}


def person(*words: str, **more: Any) -> dict[str, Any]:
    return {"body_bbox": np.array([215, 111, 580, 352]), "annotations_categories": {"categories": cell(*words)},
            "annotations_continuous": axes(8, 4, 10), "gender": "Female", "age": "Adult", **more}  # fmt: skip


def rated(**more: Any) -> dict[str, Any]:
    """A person of val or test, with several raters."""
    raters = structs({"categories": cell("Peace")}, {"categories": cell("Fear", "Pain")})
    return person() | {"annotations_categories": raters, "combined_categories": cell("Peace", "Fear"),
                       "annotations_continuous": structs(axes(1, 1, 1), axes(2, 2, 2)),
                       "combined_continuous": axes(5.5, 1, 3.25), "gender": "Male", "age": "Kid", **more}  # fmt: skip


def picture(name: str, *people: dict[str, Any], folder: str = "mscoco/images") -> dict[str, Any]:
    return {"filename": name, "folder": folder, "person": structs(*people)}


@pytest.fixture
def mat(tree):
    def write(train=(), val=(), test=(), where="Annotations/Annotations.mat", pictures="mscoco/images/"):
        file = io.BytesIO()
        parts = {"train": train, "val": val, "test": test}
        scipy_io.savemat(file, {name: structs(*items) for name, items in parts.items()})
        return tree({where: file.getvalue(), pictures: None})

    return write


def test_one_rater_in_train_and_the_combined_ones_in_val_and_test(mat, take):
    root = mat([picture("007eear5kx5qhbzewz.jpg", person("Affection", "Pleasure", "Happiness"),
                        folder="emodb_small/images")],
               [picture("b.jpg", rated())], [picture("c.jpg", rated())])  # fmt: skip
    found = take(SOURCE, root)
    name = "emodb_small/images/007eear5kx5qhbzewz.jpg"
    assert list(found.records) == [f"{name}-0", "mscoco/images/b.jpg-0", "mscoco/images/c.jpg-0"]
    first, second = found.all[:2]
    assert (first.media, first.split) == (name, "train")
    assert first.emotion_words == ("affection", "pleasure", "happiness")
    assert (first.valence, first.arousal) == (0.5556, -0.3333)
    assert first.attributes == {"dominance": "1", "gender": "female", "age_group": "adult",
                                "body_box": "215 111 580 352"}  # fmt: skip
    assert (second.split, second.emotion_words) == ("val", ("peace", "fear"))
    assert (second.valence, second.arousal, second.attributes["dominance"]) == (0, -1, "-0.5")
    assert found.all[2].split == "test"


def test_the_body_box_is_no_face_box_but_a_head_box_is(mat, take):
    with_head = person("Fear", head_bbox=np.array([228, 118, 318, 231]))
    found = take(SOURCE, mat([picture("a.jpg", person("Fear"), with_head)]))
    assert [r.box for r in found.all] == [None, (228, 118, 318, 231)]


def test_people_who_cannot_be_told_apart_are_noted_or_dropped(mat, take):
    root = mat([picture("a.jpg", person("Fear"), person("Peace")), picture("b.jpg", person("Anger"))])
    found = take(SOURCE, root)
    assert {n: r.emotion_words for n, r in found.records.items()} == {
        "mscoco/images/a.jpg-0": ("fear",), "mscoco/images/a.jpg-1": ("peace",),
        "mscoco/images/b.jpg-0": ("anger",)}  # fmt: skip
    assert found.notes == ["2 people without a face box are in pictures with several people"]
    alone = take(SOURCE, root, several="drop")
    assert list(alone.records) == ["mscoco/images/b.jpg-0"]
    assert [reason for _, reason in alone.drops] == ["several people", "several people"]


def test_a_mean_that_is_nan_is_not_labelled(mat, take):
    root = mat(val=[picture("a.jpg", rated(combined_continuous=axes(np.nan, 10, np.nan)))])
    record = take(SOURCE, root).all[0]
    assert (record.valence, record.arousal) == (None, 1)
    assert "dominance" not in record.attributes


@pytest.mark.parametrize(("who", "reason"), [
    (person("Joy"), "unknown label"),
    (person("Fear", annotations_continuous=axes(0, 5, 5)), "bad rating"),
    (person("Fear", annotations_continuous=axes(5, 11, 5)), "bad rating"),
    (person(annotations_continuous=axes(np.nan, np.nan, np.nan)), "unlabelled"),
])  # fmt: skip
def test_a_person_who_cannot_be_used_is_dropped(mat, take, who, reason):
    found = take(SOURCE, mat([picture("a.jpg", who), picture("b.jpg", person("Doubt/Confusion"))]))
    assert found.drops == [("mscoco/images/a.jpg-0", reason)]
    assert [r.emotion_words for r in found.all] == [("doubt/confusion",)]


def test_pictures_may_lie_deeper_than_the_labels(mat, take):
    root = mat([picture("a.jpg", person("Fear"))], where="Annotations.mat", pictures="emotic/mscoco/images/")
    record = take(SOURCE, root).all[0]
    assert (record.id, record.media) == ("mscoco/images/a.jpg-0", "emotic/mscoco/images/a.jpg")


def test_other_files_are_refused(tree, take):
    with pytest.raises(ConfigError, match="EMOTIC's Annotations.mat"):
        take(SOURCE, tree({"mscoco/images/a.jpg": None}))
    with pytest.raises(ConfigError, match="cannot read .* as a MATLAB file"):
        take(SOURCE, tree({"Annotations.mat": b"not a mat file" * 40, "mscoco/": None}))
    file = io.BytesIO()
    scipy_io.savemat(file, {"train": [1]})
    with pytest.raises(ConfigError, match="has no val, test; it has train"):
        take(SOURCE, tree({"Annotations.mat": file.getvalue()}))

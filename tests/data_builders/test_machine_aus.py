"""Rows of OpenFace, py-feat and LibreFace files, written by hand with the columns that the tools write."""

from dataclasses import replace

import pytest
from PIL import Image

from data_builders.machine_aus import Join
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, faults

R = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
C = (*R[:-1], 28, 45)
POINTS = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
PYFEAT = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43)


def face(left, top, size=68):
    """68 points on the diagonal of a square."""
    return [left + i * size / 67 for i in range(68)] + [top + i * size / 67 for i in range(68)]


def openface(*rows, head=("frame", "face_id", "timestamp", "confidence", "success")):
    """Rows (first cells, {AU: intensity}, {AU: presence}, where the face is); OpenFace's blanks before the names."""
    names = [*head, *POINTS, "X_0", *(f"AU{n:02d}_r" for n in R), *(f"AU{n:02d}_c" for n in C)]
    lines = [", ".join(names)]
    for first, levels, codes, where in rows:
        cells = [*first, *face(*where), 7, *(levels.get(n, 0) for n in R), *(codes.get(n, 0) for n in C)]
        lines.append(", ".join(map(str, cells)))
    return "\r\n".join(lines) + "\r\n"


def pyfeat(*rows, names=(*POINTS, "Pitch")):
    """Rows (box x y w h, score, {AU: probability}, input, frame); an unnamed index first, as pandas writes it."""
    head = ["", "FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore", *names,
            *(f"AU{n:02d}" for n in PYFEAT), "anger", "input", "frame"]  # fmt: skip
    lines = [",".join(head)]
    for number, (rect, score, levels, source, frame) in enumerate(rows):
        aus = [levels.get(n, 0.1) for n in PYFEAT] if levels is not None else [""] * len(PYFEAT)
        points = [i * 1.0 for i in range(len(names))]
        lines.append(",".join(map(str, [number, *rect, score, *points, *aus, 0.5, source, frame])))
    return "\n".join(lines) + "\n"


def record(media="a/1.jpg", **values):
    return FaceRecord(id=media, source="x", media=media, **values)


@pytest.fixture
def joined(tmp_path):
    """Writes files below the root, and makes a Join of them."""

    def make(files, tool="openface", where="of", **options):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        return Join(tmp_path, {"tool": tool, "files": where, **options})

    return make


ONE = openface(((1, 0, 0.0, 0.9, 1), {1: 0.4, 12: 2.5, 45: 1.2}, {1: 1, 12: 0, 28: 1}, (10, 20)))


def test_openface_intensities_and_au28_as_a_code(joined):
    join = joined({"of/1.csv": ONE})
    found = join(record())
    assert found.aus == {**dict.fromkeys(C, 0.0), 1: 0.4, 12: 2.5, 45: 1.2, 28: 1}
    assert found.present_aus == (12, 28, 45) and found.au_threshold == 1
    assert found.aus_by == "openface-2" and not faults(found)
    assert found.landmarks[0] == (10, 20) and found.landmarks[67] == (78, 88)
    assert join.counts == {"joined": 1}


def test_openface_presence_is_another_predictor(joined):
    found = joined({"of/1.csv": ONE}, values="presence")(record())
    assert found.aus == {**dict.fromkeys(C, 0.0), 1: 1, 28: 1}


def test_pictures_of_their_own_have_no_frames_and_no_success(joined):
    text = openface(((0, 0.9), {4: 1}, {}, (0, 0)), head=("face", "confidence"))
    assert joined({"of/1.csv": text})(record()).present_aus == (4,)


def test_a_failed_row_is_not_all_zero(joined):
    text = openface(((1, 0, 0, 0.02, 0), {}, {}, (0, 0, 0)))
    join = joined({"of/1.csv": text})
    assert join(record()) == record()
    assert join.counts == {"no face found": 1}


def test_a_row_below_the_confidence_asked_for(joined):
    join = joined({"of/1.csv": ONE}, min_confidence=0.95)
    assert join(record()).aus == {} and join.counts == {"low confidence": 1}


def test_human_aus_and_landmarks_stay(joined):
    join = joined({"of/1.csv": ONE})
    human = record(aus={9: 0}, au_threshold=2)
    assert join(human) is human
    points = tuple((float(i), float(i) + 10) for i in range(10, 78))
    assert join(record(landmarks=points)).landmarks == points
    assert join.counts == {"has AUs": 1, "joined": 1}


TWO = openface(((1, 0, 0, 0.9, 1), {1: 1}, {}, (0, 0)), ((1, 1, 0, 0.9, 1), {2: 2}, {}, (200, 0)),
               ((1, 2, 0, 0.1, 0), {4: 3}, {}, (205, 0)))  # fmt: skip


@pytest.mark.parametrize(("box", "present", "reason"), [
    ((195, -5, 275, 75), (2,), "joined"),
    ((-5, -5, 75, 75), (1,), "joined"),
    (None, (), "several faces"),
    ((-50, -50, 300, 100), (), "several faces"),  # both lie in it
    ((100, 100, 160, 160), (), "another face"),
])  # fmt: skip
def test_of_several_faces_the_one_in_the_box(joined, box, present, reason):
    join = joined({"of/1.csv": TWO})
    assert join(record(box=box)).present_aus == present
    assert join.counts == {reason: 1}


def test_landmarks_choose_where_there_is_no_box(joined):
    points = tuple((200.0 + i, float(i)) for i in range(68))
    assert joined({"of/1.csv": TWO})(record(landmarks=points)).present_aus == (2,)


def test_a_single_row_of_another_face_is_not_taken(joined):
    join = joined({"of/1.csv": ONE})
    assert join(record(box=(300, 300, 360, 360))).aus == {}
    assert join.counts == {"another face": 1}


def test_crops_have_pixels_of_their_own(joined):
    found = joined({"of/1.csv": ONE}, same_pixels=False)(record(box=(300, 300, 360, 360)))
    assert found.present_aus == (12, 28, 45) and found.landmarks is None


VIDEO = openface(*(((n, 0, (n - 1) * 0.04, 0.9, 1), {1: n / 10}, {}, (0, 0)) for n in range(1, 6)))


@pytest.mark.parametrize(("moment", "level"), [("#frame=0", 0.1), ("#frame=4", 0.5), ("#t=0.08", 0.3),
                                               ("#t=0.095", 0.3), ("#t=0.105", 0.4), ("#t=0", 0.1)])  # fmt: skip
def test_a_frame_of_a_video(joined, moment, level):
    assert joined({"of/v.csv": VIDEO})(record(f"clips/v.avi{moment}")).aus[1] == level


@pytest.mark.parametrize(("media", "reason"), [
    ("v.avi#frame=5", "no row"), ("v.avi#t=0.3", "no row"), ("v.avi", "a clip"), ("v", "a clip"),
    ("w.avi#frame=1", "no row"), ("v.jpg", "several frames"),
])  # fmt: skip
def test_a_frame_that_the_file_lacks(joined, media, reason):
    join = joined({"of/v.csv": VIDEO})
    assert join(record(media)).aus == {} and join.counts == {reason: 1}


def test_sampled_clips_get_no_aus(joined):
    join = joined({"of/1.csv": ONE})
    assert join(record("1", frames=("1/1.jpg",))).aus == {} and join.counts == {"a clip": 1}


def test_pictures_of_a_folder_go_by_their_place(joined, tmp_path):
    (tmp_path / "S1").mkdir()
    for name in ("img1.jpg", "img10.jpg", "img2.jpg", "img3.jpg", "img4.jpg"):  # the order OpenFace takes them in
        Image.new("RGB", (4, 4)).save(tmp_path / "S1" / name)
    join = joined({"of/S1.csv": VIDEO, "S1/.DS_Store": "x"})
    assert [join(record(f"S1/img{n}.jpg")).aus[1] for n in (1, 10, 2)] == [0.1, 0.2, 0.3]
    (tmp_path / "S1/img3.jpg").unlink()
    join = joined({})
    assert join(record("S1/img1.jpg")).aus == {}
    assert join.counts == {"other number of frames": 1}


def test_one_stem_for_two_pictures_is_not_guessed(joined):
    join = joined({"of/1.csv": ONE})
    assert join(record("a/1.jpg")).aus and join(record("a/1.jpg", box=(0, 0, 90, 90))).aus
    assert not join(record("b/1.jpg")).aus
    assert join.counts == {"joined": 2, "one name, two pictures": 1}


def test_one_stem_for_two_files_is_not_guessed_and_paths_tell_them_apart(joined):
    files = {"of/a/1.csv": ONE, "of/b/1.csv": TWO.replace("\r\n1, 1,", "\r\n9, 1,").replace("\r\n1, 2,", "\r\n9, 2,")}
    join = joined(files)
    assert join(record("a/1.jpg")).aus == {} and join.counts == {"one name, two rows": 1}
    for where in ("of", "of/**/*.csv", "of/*/1.csv"):
        join = joined(files, where=where, key="path")
        assert join(record("pictures/a/1.jpg")).present_aus == (12, 28, 45)
        assert join(record("c/1.jpg")).aus == {}
        assert join.counts == {"joined": 1, "no row": 1}


def test_endings_and_dots_in_names(joined):
    join = joined({"of/2_0.jpg.chip.csv": ONE, "of/v1.2.csv": ONE, "of/x.JPG.csv": ONE, "of/._x.csv": "torn"})
    assert all(join(record(m)).aus for m in ("2_0.jpg.chip.jpg", "v1.2.PNG", "x.JPG"))


FEX = pyfeat(
    ((10, 10, 50, 50), 0.99, {12: 0.5, 6: 0.49}, "/data/set/a/1.jpg", 0),
    ((90, 10, 50, 50), 0.98, {4: 0.9}, "/data/set/a/1.jpg", 0),
    ((10, 10, 50, 50), 0.60, {1: 0.8}, '"/data/set/b, c/2.jpg"', 1),
    (("", "", "", ""), "", None, "/data/set/a/3.jpg", 2),
)


def test_pyfeat_probabilities_become_codes(joined):
    join = joined({"fex.csv": FEX}, "pyfeat", "fex.csv", key="path", prefix="/data/set/")
    found = join(record("a/1.jpg", box=(8, 8, 62, 62)))
    assert found.aus == {**dict.fromkeys(PYFEAT, 0.0), 12: 1} and found.aus_by == "py-feat"
    assert found.landmarks is not None and not faults(found)
    assert join(record("a/1.jpg", box=(92, 8, 138, 62))).present_aus == (4,)
    assert join(record("b, c/2.jpg")).present_aus == (1,), "a comma in a quoted path"
    assert join(record("a/3.jpg")).aus == {}, "no face: a row without values"
    assert join(record("c/1.jpg")).aus == {}
    assert join.counts == {"joined": 3, "no face found": 1, "no row": 1}


def test_pyfeat_threshold_and_score(joined):
    join = joined({"fex.csv": FEX}, "pyfeat", "fex.csv", threshold=0.4, min_confidence=0.7)
    assert join(record("a/1.jpg", box=(8, 8, 62, 62))).present_aus == (6, 12)
    assert join(record("2.jpg")).aus == {} and join.counts["low confidence"] == 1


def test_pyfeat_paths_below_the_root_need_no_prefix(joined, tmp_path):
    text = pyfeat(((1, 1, 5, 5), 1, {1: 1}, f"{tmp_path}/a/1.jpg", 0), ((1, 1, 5, 5), 1, {2: 1}, "b\\1.jpg", 0))
    join = joined({"fex.csv": text}, "pyfeat", "fex.csv", key="path")
    assert [join(record(m)).present_aus for m in ("a/1.jpg", "b/1.jpg")] == [(1,), (2,)]
    join = joined({}, "pyfeat", "fex.csv")
    assert join(record("a/1.jpg")).aus == {} and join.counts == {"one name, two rows": 1}


def test_pyfeat_videos_count_frames_from_0_and_meshes_are_no_landmarks(joined):
    names = [f"{axis}_{i}" for axis in "xy" for i in range(478)]
    text = pyfeat(*(((1, 1, 5, 5), 1, {n: 1}, "v.mp4", n) for n in (1, 2)), names=names)
    found = joined({"fex.csv": text}, "pyfeat", "fex.csv")(record("v.mp4#frame=2"))
    assert found.present_aus == (2,) and found.landmarks is None


LIBRE_P, LIBRE_I = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24), (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def libreface(*rows):
    head = ["frame_idx", "frame_time_in_ms", *(f"au_{n}" for n in LIBRE_P), *(f"au_{n}_intensity" for n in LIBRE_I)]
    lines = [[*first, *(p.get(n, 0) for n in LIBRE_P), *(i.get(n, 0.0) for n in LIBRE_I)] for first, p, i in rows]
    return "\n".join(",".join(map(str, line)) for line in [head, *lines]) + "\n"


LIBRE = libreface(((0, 0.0), {12: 1, 7: 1}, {}), ((1, 33.3), {12: 1, 7: 1, 2: 0}, {12: 0.4, 25: 2.5, 2: 3, 26: 1.9}))


def test_libreface_intensities_win_and_presence_adds_the_rest(joined):
    found = joined({"of/v.csv": LIBRE}, "libreface")(record("v.mp4#frame=1"))
    assert found.aus == {**dict.fromkeys({*LIBRE_P, *LIBRE_I}, 0.0), 12: 0.4, 7: 1, 25: 2.5, 2: 3, 26: 1.9}
    assert found.au_threshold == 1 and found.aus_by == "libreface" and found.landmarks is None
    assert joined({}, "libreface")(record("v.mp4#t=0.0333")).aus == found.aus, "milliseconds"


def test_libreface_presence_wins_and_intensities_are_cut_by_disfas_rule(joined):
    found = joined({"of/v.csv": LIBRE}, "libreface", values="presence")(record("v.mp4#frame=1"))
    assert found.aus == {**dict.fromkeys({*LIBRE_P, *LIBRE_I}, 0.0), 12: 1, 7: 1, 25: 1}


def test_torn_and_impossible_rows(joined):
    lines = VIDEO.splitlines()
    torn = [lines[0], lines[1], lines[2][:200], "", lines[3].replace("0.3", "7.5"), lines[4].replace("0.4", "high"),
            lines[5]]  # fmt: skip
    join = joined({"of/v.csv": "\ufeff" + "\n".join(torn)})
    found = [join(record(f"v.avi#frame={n}")).aus.get(1) for n in range(5)]
    assert found == [0.1, None, None, None, 0.5]
    assert join.counts == {"joined": 2, "no row": 1, "bad row": 2}
    assert join.summary() == "AUs by openface-2: joined 2, bad row 2, no row 1, 1 rows of the files cannot be read"


def test_records_without_aus_can_be_dropped(joined):
    join = joined({"of/1.csv": ONE}, unmatched="drop")
    found = join(record("2.jpg"))
    assert isinstance(found, Drop) and found.reason == "machine AUs: no row" and "2.jpg" in found.detail
    assert join(record(aus={1: 1})) == record(aus={1: 1})


@pytest.mark.parametrize(("options", "said"), [
    ({"tool": "openface"}, "files: is required"),
    ({"tool": "openpose", "files": "x"}, "tool"),
    ({"tool": "openface", "files": "x", "treshold": 1}, "treshold: unknown key"),
    ({"tool": "pyfeat", "files": "x", "threshold": 0.0}, "threshold is 0"),
    ({"tool": "libreface", "files": "x", "min_confidence": 0.5}, "libreface writes no confidence"),
])  # fmt: skip
def test_wrong_options_are_refused_at_once(tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        Join(tmp_path, options)


@pytest.mark.parametrize(("files", "said"), [
    ({}, "of is no csv file"),
    ({"of/1.txt": ONE}, "of is no csv file"),
    ({"of/1.csv": "a,b\n1,2\n"}, r"1\.csv has no AU columns of openface; it begins with 'a,b'"),
    ({"of/1.csv": FEX}, "no AU columns of openface"),
    ({"of/1.csv": ""}, "all 1 files are empty"),
])  # fmt: skip
def test_wrong_files_are_refused_with_the_first_record(joined, files, said):
    join = joined(files)
    with pytest.raises(ConfigError, match=said):
        join(record())


def test_an_empty_file_among_others_has_no_row(joined):
    join = joined({"of/0.csv": "", "of/1.csv": ONE})
    assert join(record("0.jpg")).aus == {} and join(record("1.jpg")).aus
    assert join.counts == {"no row": 1, "joined": 1}


def test_the_files_may_lie_anywhere(joined, tmp_path):
    (tmp_path / "set").mkdir()
    joined({"of/1.csv": ONE})
    for where in (f"{tmp_path}/of", f"{tmp_path}/of/1.csv", f"{tmp_path}/of/*.csv", "../of"):
        assert Join(tmp_path / "set", {"tool": "openface", "files": where, "key": "path"})(record("1.jpg")).aus


def test_the_same_records_give_the_same_answers_in_any_order(joined):
    files = {"of/a.csv": ONE, "of/v.csv": VIDEO}
    records = [record("v.avi#frame=3"), record("a.jpg"), record("v.avi#frame=0")]
    there, back = joined(files), joined(files)
    assert [there(r) for r in records] == [back(r) for r in reversed(records)][::-1]
    assert replace(there(records[0]), aus={}, landmarks=None, aus_by=None) == records[0]

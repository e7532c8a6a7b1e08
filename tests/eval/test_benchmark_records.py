"""What each data set's reader makes of a few rows, as its own tests write them, is what its benchmarks ask about."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from PIL import Image

from data_builders.sources import SOURCES
from eval.benchmarks import BENCHMARKS
from eval.frame.benchmark import Protocol
from eval.frame.job import EvalConfig, select
from facevlm.record import FaceRecord
from facevlm.vocab import PROTOCOLS


def sheet(*rows: list[Any]) -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


def table(*rows: list[Any]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


GREY = " ".join(["9"] * 48 * 48)
MARKS = ";".join(f"{n}.5;{n + 200}" for n in range(68))
VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
ABAW = "6th ABAW Annotations"
FRAME = "cropped_aligned/v/00001.jpg"
AU12 = ",".join(f"AU{n}" for n in PROTOCOLS["AffWild2-12"].aus)
CASME = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion"]
SAMM = ["Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Action Units", "Estimated Emotion"]
MER = "name,discrete,valence\nsample_1,happy,2.5\n"
CELEBA = ["Male", "Smiling", *(f"Trait_{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(38))]
PAIN = "042-ll042/ll042t1aaaff/ll042t1aaaff001"
FILES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "affectnet": ({
        **{f"Manually_Annotated_file_lists/{name}.csv": "subDirectory_filePath,face_x,face_y,face_width,face_height,"
           f"facial_landmarks,expression,valence,arousal\n1/a.jpg,1,2,3,4,{MARKS},1,0.5,0.1\n"
           for name in ("training", "validation")}, "Manually_Annotated/Manually_Annotated_Images/1/a.jpg": None}, {}),
    "affectnet-plus": ({f"{part}/{n}.{kind}": json.dumps({"Human-Label": 1, "Metadata": {"Valence": 0.5,
                                                                                         "Arousal": 0.1}})
                        if kind == "json" else None for part, n in (("train", 1), ("validation", 2))
                        for kind in ("json", "jpg")}, {}),
    "fer2013": ({"fer2013.csv": f"emotion,pixels,Usage\n0,{GREY},PrivateTest\n"}, {}),
    "fer2013-folders": ({"train/angry/Training_1.jpg": None, "test/angry/PrivateTest_1.jpg": None}, {}),
    "ferplus": ({"fer2013new.csv": f"{VOTES}PrivateTest,fer0.png,1,9,0,0,0,0,0,0,0,0\n",
                 "fer2013.csv": f"emotion,pixels,Usage\n0,{GREY},PrivateTest\n"}, {}),
    "expw": ({"label/label.lst": "a.jpg 0 28 113 226 141 22.9 0\n", "image/origin/a.jpg": None}, {}),
    "sfew": ({"Train/Angry/a_1_1.png": None, "Val/Angry/b_1_1.png": None}, {}),
    "caer-s": ({"CAER-S/train/Happy/1.png": None, "CAER-S/test/Happy/2.png": None}, {}),
    "caer": ({"CAER/train/Happy/1.avi": b"x", "CAER/test/Happy/2.avi": b"x"}, {}),
    "rafdb": ({"basic/EmoLabel/list_patition_label.txt": "train_00001.jpg 5\ntest_0001.jpg 4\n",
               "basic/Image/aligned/train_00001_aligned.jpg": None, "basic/Image/aligned/test_0001_aligned.jpg": None,
               }, {}),
    "rafau": ({"RAFAU_label.txt": "".join(f"{n}.jpg 1+4+L12+25\n" for n in range(1, 30)),
               "aligned/0007_aligned.jpg": None}, {}),
    "disfa": ({**{f"ActionUnit_Labels/SN001/SN001_au{n}.txt": "1,2\n" for n in PROTOCOLS["DISFA-12"].aus},
               "Videos_LeftCamera/LeftVideoSN001_comp.avi": b"x"}, {}),
    "bp4d": ({"AUCoding/AU_OCC/M009_T8.csv": "1,1,2,4\n7,1,0,9\n", "Sequences(2D+3D)/M009/T8/007.jpg": None}, {}),
    "gft": ({"test/csv/002B.csv": "frame,AU12\n1,1\n", "images/002B/00001.jpg": None}, {}),
    "unbc": ({f"Frame_Labels/PSPI/{PAIN}_facs.txt": "2\n", f"Frame_Labels/FACS/{PAIN}_facs.txt": "",
              f"Images/{PAIN}.png": None}, {}),
    "affwild2-expr": ({f"{ABAW}/EXPR_Recognition_Challenge/{part}/v.txt":
                       "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n7\n"
                       for part in ("Train_Set", "Validation_Set")} | {FRAME: None}, {}),
    "affwild2-au": ({f"{ABAW}/AU_Detection_Challenge/{part}/v.txt": f"{AU12}\n{','.join('01' * 6)}\n"
                     for part in ("Train_Set", "Validation_Set")} | {FRAME: None}, {}),
    "affwild2-va": ({f"{ABAW}/VA_Estimation_Challenge/{part}/v.txt": "valence,arousal\n0.5,-0.1\n"
                     for part in ("Train_Set", "Validation_Set")} | {FRAME: None}, {}),
    "dfew": ({**{f"EmoLabel_DataSplit/{part}(single-labeled)/set_1.csv": f"video_name,label\n{n},3\n"
                 for n, part in enumerate(("train", "test"), 1)}, "Clip/clip_224x224/00002/1.jpg": None}, {}),
    "ferv39k": ({**{f"4_setups/All_scenes/{part}_All.csv": f"Action/Happy/000{n} Happy\n"
                    for n, part in enumerate(("train", "test"))},
                 "2_ClipsforFaceCrop/Action/Happy/0001/1.jpg": None}, {}),
    "mafw": ({"Train & Test Set/single/no_caption/set_1/train.txt": "00025.mp4 sadness\n",
              "Train & Test Set/single/no_caption/set_1/test.txt": "00031.mp4 disappointment\n",
              "Labels/descriptive_text.xlsx": sheet(["00031.mp4", "一个女人", "A woman frowns."]),
              "data/clips/00031.mp4": b"x", "data/clips/00025.mp4": b"x"}, {}),
    "meld": ({f"{part}_sent_emo.csv": table(["Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID",
                                             "Utterance_ID"], [1, "Hi.", "Joey", "joy", "positive", 0, 3])
              for part in ("train", "dev", "test")} | {
                  f"{folder}/dia0_utt3.mp4": b"x"
                  for folder in ("train_splits", "dev_splits_complete", "output_repeated_splits_test")}, {}),
    "mer2023": ({"test3-label.csv": "name,discrete\nsample_30,worried\n", "test3/sample_30.avi": b"x"}, {}),
    "mer2024": ({"label-disdim.csv": MER, "video-labeled/sample_1.mp4": b"x",
                 "check-openset.csv": "name,openset\nsample_1,\"['joyful', 'shy']\"\n"}, {}),
    "mer2025": ({"track1_train_disdim.csv": MER, "video/sample_1.mp4": b"x", "video/sample_7.mp4": b"x",
                 "track2_train_ovmerd.csv": "name,openset\nsample_7,\"['joyful', 'shy']\"\n",
                 "track3_train_ovmerd.csv": "name,reason\nsample_7,She smiles.\n"}, {}),
    "emonetface-hq-files": ({"hq.csv": "image,annotator,human,annotations\n"
                             "a.png,human-1,True,\"{'Joy|Elation': 6, 'Rest|Interest': 2}\"\n", "hq/a.jpg": None}, {}),
    "emonetface-binary-files": ({"binary.csv": "path,annotator,value,emotion\n00001,human-1,True,Distress\n"
                                 "00001,human-2,False,Interest\n", "images/00001.jpg": None}, {}),
    "fea20k": ({"test.jsonl": json.dumps({"id": 7, "dataset": "DISFA", "image": "SN001/12.jpg", "AUs": ["AU4"],
                                          "labels": ["Sadness"], "description": "The brows are lowered."}),
                "DISFA/SN001/12.jpg": None}, {}),
    "fabainstruct": ({f"eval/eval_{task}_anno.json": json.dumps([{"image": "abc.jpg", "id": 3, "conversations": [
        {"from": "human", "value": "?"}, {"from": "gpt", "value": text}]}])
        for task, text in (("au", "AU4 - Brow Lowerer: The brows are drawn together."), ("emotion", "He is sad."))}
        | {"images/abc.jpg": None}, {}),
    "casme2": ({"CASME2-coding-20140508.xlsx": sheet(CASME, [1, "EP02_01f", 46, 59, 86, "4+L10", "disgust"]),
                **{f"CASME2-RAW/sub01/EP02_01f/img{n}.jpg": None for n in (46, 59)}}, {"classes": "five"}),
    "samm": ({"SAMM_Micro_FACS_Codes_v2.xlsx": sheet(SAMM, ["006", "006_1_2", 5562, 5588, 5632, "A1B", "Surprise"]),
              **{f"006/006_1_2/006_0{n}.jpg": None for n in (5562, 5588)}}, {"classes": "five"}),
    "celeba": ({"list_attr_celeba.txt": f"1\n{' '.join(CELEBA)}\n000001.jpg {' '.join(['1', '-1'] * 20)}\n",
                "list_eval_partition.txt": "000001.jpg 2\n", "img_align_celeba/000001.jpg": None}, {}),
    "fairface": ({f"fairface_label_{part}.csv": "file,age,gender,race,service_test\n"
                  f"{part}/1.jpg,3-9,Male,Indian,True\n" for part in ("train", "val")}
                 | {"train/1.jpg": None, "val/1.jpg": None}, {}),
    "utkface": ({"UTKFace/25_0_2_20170104023102422.jpg.chip.jpg": None}, {}),
    "morph2": ({"Album2/009055_1M54.JPG": None}, {}),
    "agedb": ({"AgeDB/0_MariaCallas_35_f.jpg": None}, {}),
    "scutfbp": ({f"train_test_files/split_of_60%training and 40%testing/{part}.txt": f"AF{n}.jpg 3.25\n"
                 for n, part in enumerate(("train", "test"))} | {"Images/AF1.jpg": None}, {}),
    "faceforensics": ({
        **{f"original_sequences/youtube/c23/videos/{n}.mp4": b"v" for n in ("071", "054")},
        **{f"manipulated_sequences/{method}/c23/videos/071_054.mp4": b"v"
           for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")},
        "train.json": "[]", "val.json": "[]", "test.json": '[["071", "054"]]'}, {}),
    "celebdf": ({"Celeb-synthesis/id1_id0_0000.mp4": b"v", "Celeb-real/id0_0000.mp4": b"v",
                 "List_of_testing_videos.txt": "1 Celeb-real/id0_0000.mp4\n0 Celeb-synthesis/id1_id0_0000.mp4\n"}, {}),
    "bah": ({f"dataset-splits/video-level/BAH_DB/split-0/{part}.txt": f"Videos/8/V/{part}.mp4,1,Yes, no.\n"
             for part in ("train", "val", "test")} | {"Videos/8/V/test.mp4": b"v"}, {}),
    "raer": ({"RAER/annotation/train.txt": "RAER/train/0001 64 3\n", "RAER/test.txt": "RAER/test/0001 8 5\n",
              "RAER/train/0001/1.jpg": None}, {}),
    "daisee": ({f"Labels/{part}Labels.csv": "ClipID,Boredom,Engagement,Confusion,Frustration \n"
                                            "1100011002.avi,0,2,0,0\n"
                for part in ("Train", "Validation", "Test")}
               | {f"DataSet/{part}/110001/1100011002/1100011002.avi": b"v"
                  for part in ("Train", "Validation", "Test")}, {}),
    "cmose": ({"final_data_1.json": json.dumps({"video10_100_person0": {"label": "Engage", "split": "test"}}),
               "clips/video10_100_person0.mp4": b"v"}, {}),
}  # fmt: skip
"""Source -> files in its owner's layout, and options; built anew for MEGC with `classes=megc`."""
ALIKE = {"affectnet-npy": "affectnet", "ferplus-folders": "ferplus", "rafdb-compound": "rafdb",
         "emonetface-hq": "emonetface-hq-files", "emonetface-binary": "emonetface-binary-files"}  # fmt: skip
"""Sources whose records are as those of another one; compound RAF-DB is in test_protocols."""


def records(name: str, folder: Path, **more: Any) -> list[FaceRecord]:
    """What the reader makes of the files."""
    files, options = FILES[name]
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            Image.new("RGB", (20, 20)).save(target)
        elif isinstance(content, bytes):
            target.write_bytes(content)
        else:
            target.write_text(content, encoding="utf-8", newline="")
    into = {"into": folder / "into"} if SOURCES[name].extracts else {}
    items: Iterator[Any] = SOURCES[name].read(folder, **(options | more), **into)
    return [item for item in items if isinstance(item, FaceRecord)]


CASES = [pytest.param(name, protocol, source, id=f"{protocol.name}-{source}")
         for name, benchmark in BENCHMARKS.items() for protocol in benchmark.protocols
         for source in benchmark.sources if source in FILES]  # fmt: skip


def about(protocol: Protocol, source: str) -> bool:
    """Whether a protocol of a benchmark with several sources is about this one."""
    kind, _, part = protocol.name.rpartition("-")
    match kind:
        case "affwild2" | "caer" | "" if source.startswith(("affwild2", "caer")):
            return protocol.name == source
        case "emonet" | "emonet-hq" | "emonet-binary":
            return protocol.name.removesuffix("-reliable").replace("emonet", "emonetface") in source
        case _ if protocol.name.startswith("mer-unibench-"):
            part = protocol.name.removeprefix("mer-unibench-")
            return source == ("mer2025" if part == "ov" else part)
        case "megc":
            return part in ("3", source)
    return (protocol.name, source) not in (("rafdb-compound", "rafdb"), ("emer-reason", "mer2024"))


@pytest.mark.parametrize(("name", "protocol", "source"), CASES)
def test_what_a_reader_makes_is_asked_about(name: str, protocol: Protocol, source: str, tmp_path: Path) -> None:
    more = {"classes": "megc"} if name == "megc" else {}
    found = records(source, tmp_path, **more)
    assert found and {record.source for record in found} == {source}
    # Where the owners give no split, the build draws one.
    tested = [record for record in found if protocol.split is None or record.split in ("", protocol.split)]
    config = EvalConfig(name, "x", "tiny", "x", mode="fast")
    asked, skipped = select(config, BENCHMARKS[name], protocol, tested)
    assert bool(asked) == about(protocol, source), skipped


def test_every_source_of_a_benchmark_has_files_here_or_is_built_from_a_table() -> None:
    named = {source for one in BENCHMARKS.values() for source in set(one.sources) - set(one.by_table)}
    assert named - {"synthetic"} == FILES.keys() | ALIKE.keys()

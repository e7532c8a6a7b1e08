import pytest

from data_builders.sources.celeba import SOURCE
from facevlm.config import ConfigError

ATTRIBUTES = ("202599\r\n5_o_Clock_Shadow Arched_Eyebrows Male Smiling \r\n"
              "000001.jpg -1  1 -1  1 \r\n000002.jpg  1 -1  1 -1\r\n000003.jpg -1 -1  1 -1\r\n"
              "000004.jpg  0  1 -1  1\r\n000005.jpg  1\r\n000006.jpg 1 1 1 1\r\n000007.jpg 1 1 1 1\r\n")  # fmt: skip
PARTITION = "000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n000004.jpg 0\n000005.jpg 0\n000007.jpg 3\n"
IDENTITY = "000001.jpg 2880\n000002.jpg 2937\n000003.jpg 8692\n000004.jpg 1\n000005.jpg 1\n000006.jpg 9\n"


@pytest.fixture
def txt(tree):
    return tree({"Anno/list_attr_celeba.txt": ATTRIBUTES, "Eval/list_eval_partition.txt": PARTITION,
                 "Anno/identity_CelebA.txt": IDENTITY, "Img/img_align_celeba/000001.jpg": None})  # fmt: skip


def test_absent_is_no_and_male_is_gender(txt, take):
    found = take(SOURCE, txt)
    assert found.records["000001"].attributes == {
        "5 o clock shadow": "no", "arched eyebrows": "yes", "smiling": "yes", "gender": "female"}  # fmt: skip
    assert found.records["000002"].attributes["gender"] == "male"
    assert found.records["000001"].media == "Img/img_align_celeba/000001.jpg"


def test_partition_and_identity_are_joined_by_name(txt, take):
    assert {n: (r.split, r.subject) for n, r in take(SOURCE, txt).records.items()} == {
        "000001": ("train", "2880"), "000002": ("val", "2937"), "000003": ("test", "8692")}  # fmt: skip


def test_what_cannot_be_read_is_dropped_with_its_reason(txt, take):
    assert take(SOURCE, txt).drops == [("000004", "unknown label"), ("000005", "bad row"),
                                       ("000006", "unknown split"), ("000007", "unknown split")]  # fmt: skip


def test_a_picture_without_identity_is_dropped_where_there_is_a_list(txt, take):
    (txt / "Anno/identity_CelebA.txt").write_text("000001.jpg 2880\n")
    assert ("000002", "unknown subject") in take(SOURCE, txt).drops


def test_the_csv_mirror_is_read_without_subjects(tree, take):
    root = tree({"list_attr_celeba.csv": "\ufeffimage_id,Young,Male,Smiling\n000001.jpg,1,-1,1\n",
                 "list_eval_partition.csv": "image_id,partition\n000001.jpg,2\n",
                 "img_align_celeba/img_align_celeba/000001.jpg": None})  # fmt: skip
    found = take(SOURCE, root)
    record = found.records["000001"]
    assert (record.split, record.subject) == ("test", None)
    assert record.attributes == {"young": "yes", "smiling": "yes", "gender": "female"}
    assert record.media == "img_align_celeba/img_align_celeba/000001.jpg"
    assert found.notes == ["identity_CelebA was not found: no subjects"]


def test_the_png_download_is_named_by_its_own_ending(tree, take):
    found = take(SOURCE, tree({"list_attr_celeba.txt": "1\nMale Smiling\n000001.jpg 1 1\n",
                               "img_align_celeba_png/000001.png": None}))  # fmt: skip
    assert found.records["000001"].media == "img_align_celeba_png/000001.png"
    assert (found.records["000001"].split, len(found.notes)) == ("", 2)


@pytest.mark.parametrize("text", ["", "202599\n"])
def test_an_empty_list_is_refused(tree, take, text):
    with pytest.raises(ConfigError, match="no line of attribute names"):
        take(SOURCE, tree({"list_attr_celeba.txt": text, "img_align_celeba/": None}))


def test_a_list_without_names_is_refused(tree, take):
    with pytest.raises(ConfigError, match="no columns 'Male', 'Smiling'"):
        take(SOURCE, tree({"list_attr_celeba.txt": "000001.jpg -1 1\n", "img_align_celeba/": None}))


def test_a_root_without_pictures_is_refused(tree, take):
    with pytest.raises(ConfigError, match=r"folder of aligned pictures.*the folder holds list_attr_celeba\.txt"):
        take(SOURCE, tree({"list_attr_celeba.txt": ATTRIBUTES}))

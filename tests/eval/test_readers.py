import pytest

from eval.elsewhere.reading import Asked, text_of
from eval.frame.job import find_reader
from eval.readers import READERS
from facevlm.config import ConfigError
from facevlm.vocab import LABEL_SETS

SEVEN = LABEL_SETS["rafdb"].labels  # surprise, fear, disgust, happiness, sadness, anger, neutral
BOTH = Asked("fast", ("au", "answer"), SEVEN)
LABEL = Asked("label", ("answer",), SEVEN)


def read(name, text, asked=BOTH):
    answer = READERS[name].read(text, asked)
    return None if answer.aus is None else sorted(answer.aus), answer.value


@pytest.mark.parametrize("name", READERS)
def test_every_reader_says_what_it_does_and_where_that_stands(name):
    reader = READERS[name]
    assert reader.doc and reader.source
    assert reader.layout or reader.columns or name == "strict" or reader.caveat
    assert read(name, "", LABEL)[1] in (None, "happiness")  # FABA-Bench's own fault, which its name stands for
    assert read(name, "", LABEL)[1] is None or name == "faba-bench"


def test_strict_and_lenient_are_those_of_the_answer_form():
    assert read("strict", "<au>AU4</au><answer>fear</answer>") == ([4], "fear")
    assert read("strict", "It shows AU4: fear.") == (None, None)
    assert read("lenient", "It shows AU4. No AU9, no fear. But AU12: anger.") == ([4, 12], "anger")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>Brows lowered (AU4), AU7.</think><answer>Anger</answer>", ([4, 7], "anger")),
        ("<think>There is no AU4.</think><answer>anger</answer>", ([4], "anger")),  # denied, and named all the same
        ("<think>AU4</think>AU12<answer>Anger</answer>", ([4], "anger")),  # only what stands in the thinking
        ("AU6 and AU12.\nHappiness", ([6, 12], None)),  # without tags the whole text is the answer: three words
        ("Happiness", ([], "happiness")),
        ("<think>x</think><answer>happy</answer>", ([], None)),  # a noun is wanted
        ("<think>x</think><answer>Anger, Disgust</answer>", ([], None)),
        ("<think>x</think><answer></answer>", ([], None)),
        ("<think>AU6</think><answer>Contempt</answer>", ([6], None)),  # not on offer
        ("<think>AU99 AU012</think><answer>Fear</answer>", ([12], "fear")),
    ],
)
def test_facial_r1(text, said):
    assert read("facial-r1", text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>…</think>\n<answer>angry</answer>", "anger"), ("<answer> sad </answer>", "sadness"),
        ("<answer>anger</answer>", None), ("<answer>Angry</answer>", None), ("angry", "anger"),
        ("<answer>angry\n</answer>", None),  # their pattern does not look past the end of a line
        ("<answer>fear</answer><answer>angry</answer>", "fear"), ("<answer>anxious</answer>", None),
    ],
)  # fmt: skip
def test_r1_omni(text, said):
    assert read("r1-omni", text, LABEL)[1] == said


def test_emola_wants_the_bare_noun_and_takes_every_au():
    assert read("emola", "Happiness") == ([], "happiness")
    assert read("emola", "happiness") == ([], None) and read("emola", "Happiness.") == ([], None)
    assert read("emola", "AU4 - brow lowerer, but no AU12 and no AU77") == ([4, 12], None)


def test_faba_bench_as_published_and_mended():
    smile = "The nose is wrinkled and the person is smiling."
    assert read("faba-bench", smile)[1] == "happiness"
    sad = "The nose is red, a picture of sadness. Nothing else to see."
    assert read("faba-bench-mended", sad)[1] == "sadness"
    assert read("faba-bench", "The face shows sadness. I know it. A stern look.")[1] == "sadness"
    assert read("faba-bench", "Her nose shows sadness. A stern look.")[1] == "anger"  # "nose" holds "no"
    assert read("faba-bench-mended", "Her nose shows sadness. A stern look.")[1] == "sadness"
    assert read("faba-bench", "A face.")[1] == "happiness" and read("faba-bench-mended", "A face.")[1] is None
    assert read("faba-bench", "AU4, no AU12.")[0] == [4, 12] and read("faba-bench-mended", "AU4, no AU12.")[0] == [4]


def test_faba_bench_keeps_a_description_whole():
    asked = Asked("description", ("answer",), ())
    assert read("faba-bench", " A smile. ", asked)[1] == "A smile." and read("faba-bench", " ", asked)[1] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[happy, sad, angry]", ("happy", "sad", "angry")), ("['happy', 'Excited']", ("happy", "excited")),
        ("[happy，sad、angry]", ("happy", "sad", "angry")), ("[]", ()), ("[happy, happy]", ("happy",)),
        ("He looks happy and sad.", None), ("[happy] or [sad]", None), ("", None),
    ],
)  # fmt: skip
def test_affectgpt_reads_lists_and_guesses_nothing(text, said):
    assert read("affectgpt", text, Asked("open_vocabulary", ("answer",), ()))[1] == said


def test_affectgpt_on_one_label_takes_a_list_of_one():
    assert read("affectgpt", "[happy]", LABEL)[1] == "happiness"
    assert read("affectgpt", "[happy, sad]", LABEL)[1] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>…</think><answer>Anger</answer>", "anger"), ("<ANSWER>anger</ANSWER>", "anger"),
        ("<answer>not fear but anger</answer>", "fear"),  # the first on offer that is contained
        ("<answer>angry</answer> I ruled out fear.", "fear"),  # no label in the answer: anywhere in the text
        ("She looks angry.", "anger"), ("blank", "neutral"), ("unhappiness", "happiness"), ("who knows", None),
    ],
)  # fmt: skip
def test_unifer_takes_any_label_word(text, said):
    assert read("unifer", text, LABEL)[1] == said


def test_a_text_can_be_found_by_one_reader_and_read_by_another():
    both = find_reader("llava+facial-r1")
    assert both.ids == READERS["llava"].ids and both.texts == ("text",)
    assert both.read("<think>AU4</think><answer>Fear</answer>", BOTH).value == "fear"
    assert both.caveat == READERS["facial-r1"].caveat


@pytest.mark.parametrize("name", ["lenient+strict", "llava+lmms-eval", "llava+labels", "llava+nothing", "nothing"])
def test_other_pairs_are_refused(name):
    with pytest.raises(ConfigError, match="before the \\+|unknown reader"):
        find_reader(name)


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (3.0, "3"), (0.25, "0.25"), (True, "yes"), (["AU1", "AU2"], "AU1, AU2"), (" a ", "a"), (7, "7")],
)
def test_cells_become_text(cell, text):
    assert text_of(cell) == text

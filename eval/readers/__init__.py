"""The readers of answers by name. A new one is a file beside this one and a line here."""

from eval.elsewhere.reading import Reader
from eval.readers import affectgpt, emola, facial_r1, labels, lenient, llava, lmms_eval, plain, r1_omni, unifer

READERS: dict[str, Reader] = {
    "strict": plain.STRICT,
    "lenient": lenient.LENIENT,
    "labels": labels.LABELS,
    "llava": llava.LLAVA,
    "lmms-eval": lmms_eval.LMMS_EVAL,
    "affectgpt": affectgpt.AFFECTGPT,
    "emola": emola.EMOLA,
    "faba-bench": emola.FABA_BENCH,
    "faba-bench-mended": emola.FABA_BENCH_MENDED,
    "facial-r1": facial_r1.FACIAL_R1,
    "r1-omni": r1_omni.R1_OMNI,
    "unifer": unifer.UNIFER,
}

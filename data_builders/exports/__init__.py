"""The forms of export by name. A new one is a file beside this one and a line here."""

from data_builders.exports import conversations, lmms_eval, parquet
from data_builders.outgoing import Format

FORMATS: dict[str, Format] = {
    "trl": parquet.TRL,
    "ms-swift": conversations.CONVERSATIONS,
    "llama-factory": conversations.CONVERSATIONS,
    "lmms-eval": lmms_eval.LMMS_EVAL,
    "hub": parquet.HUB,
}

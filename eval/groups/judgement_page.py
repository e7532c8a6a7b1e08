"""judgement.html: how far the probability of a word moves where only who is shown changes."""

from collections.abc import Mapping
from typing import Any

from eval.groups.fairness_page import brackets, clear, gap_in_words, tables
from eval.pages.figures import decimal
from eval.pages.markup import definitions, listed
from eval.pages.sheet import section, sheet


def verdict(result: Mapping[str, Any]) -> str:
    """What was found, in a few sentences."""
    found = clear(result["gaps"])
    text = f"{result['groups']} faces, each shown with different {result['changed']} and nothing else changed: "
    if not result["tests"]:
        return text + "no judgement could be tested."
    text += f"{len(found)} of {result['tests']} judgements hang on it beyond chance after Holm's correction"
    return text + (f". The widest: {gap_in_words(found[0])}." if found else ", which does not show that none does.")


NOTE = ("A face shows neither trustworthiness nor competence: no answer is right, and none is about a person. Values "
        "are probabilities of the first word against the second, the mean of both orders. What ought to be seen is "
        "the same value everywhere. The gap between expressions is there to compare with.")  # fmt: skip


def page(result: Mapping[str, Any]) -> str:
    """The HTML of what judgement.json holds."""
    within = [f"{row['measure']}: {decimal(row['value'])} {brackets(row['ci95'])}" for row in result["within"]]
    shown = [gap_in_words(gap) for gap in result["expressions"]]
    overall = {gap["measure"]: gap["overall"] for gap in result["gaps"]}
    facts = [(key, result[key]) for key in ("model", "records", "split", "groups", "faces", "unreadable_images",
                                            "question")]  # fmt: skip
    return sheet(
        "What no face can show", verdict(result), NOTE,
        section("Gaps", listed([gap_in_words(gap) for gap in result["gaps"]])),
        section("Mean span within a group", listed(within)),
        section("To compare with: gaps between expressions", listed(shown)),
        section("By value", tables(result["values"], overall, crossed=False)),
        section("How this was obtained", definitions(facts, "provenance")),
    )  # fmt: skip

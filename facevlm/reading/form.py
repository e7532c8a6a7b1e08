"""The answer form as a grammar, for engines that hold an answer to one (vLLM's structured outputs).

The thinking stays free: the grammar asks only that it stands between its tags and opens none, so it takes hold of the
answer after </think> alone. A JSON schema would begin at the first token, and leave no thinking.
A grammar, not a regular expression: xgrammar reads one of 52 ascending AUs in 0.3 ms and the other in 7 ms, and vLLM
has it read for every request.
"""

import json
from collections.abc import Iterator, Sequence

from facevlm.answer import Form, Part
from facevlm.reading.tokens import AUTokens, Choices
from facevlm.vocab import AUS

_NUMBER = '"-"? ("0" ("." [0-9] [0-9]?)? | "1" ("." "0" "0"?)?)'


def answer_grammar(parts: Sequence[Part], labels: Sequence[str], form: Form | None = None,
                   aus: Sequence[int] | None = None, tokens: Choices | None = None) -> str:  # fmt: skip
    """A grammar, in the EBNF of xgrammar (GBNF), whose texts `answer.parse` reads without a fault, unless the thinking
    holds no word.

    It is stricter than the parser: AUs ascend, as `answer.render` writes them, so that none stands twice and the list
    comes to an end; labels are spelled as they are offered.

    Args:
        parts: what the answer must hold, in order.
        labels: the emotions or choices on offer.
        form: how <answer> is read: a label, a choice, yes/no or a pair.
        aus: AUs that may be named; None = all known.
        tokens: the tokens of labels and AUs, where these are to be written in no others: in the pieces of words, which
            spell the same, a model that is pressed into a form may begin what it would not have said.

    Raises:
        ValueError: a form that no grammar is written for, or no label to choose from.
    """
    form = form or Form()
    inside: dict[Part, str] = {"think": "thinking", "au": "aus", "answer": "value"}
    written = [f'"<{part}>" {inside[part]} "</{part}>"' for part in parts]
    if exact := _exact(tokens, form, labels):
        # The tokens begin with the end of the list, and end with that of the answer.
        written[-2:] = [written[-2].removesuffix(' "</au>"'), exact] if len(parts) > 1 else [exact]
    rules = [f"root ::= {' '.join(written)}"]
    if "think" in parts:
        rules.append("thinking ::= [^<]+")
    if "au" in parts:
        rules += _ascending(sorted(AUS if aus is None else aus), form, tokens.aus if tokens is not None else None)
    if "answer" in parts and not exact:
        rules.append(f"value ::= {_value(form, labels)}")
    return "\n".join(rules)


def _exact(tokens: Choices | None, form: Form, labels: Sequence[str]) -> str | None:
    """<answer> as xgrammar names tokens, with the end of the list before it; None where they are not known apart."""
    if tokens is None or form.kind != "label" or not (tokens.apart and tokens.before):
        return None
    values = " | ".join(_named(tokens.labels[label]) for label in labels)
    return f"{_named(tokens.before)} ({values})"


def _named(tokens: Sequence[int]) -> str:
    return " ".join(f"Token({token})" for token in tokens)


def _ascending(numbers: Sequence[int], form: Form, tokens: AUTokens | None) -> Iterator[str]:
    """Any of the AUs in order: `from<i>` is one AU from the i-th on and what follows it, `after<i>` what follows."""
    if form.boxes:
        raise ValueError("AUs with boxes have no grammar: ask without one and read strictly")
    letter = ' ":" [A-E]' if form.letters else ""
    named = {n: f'"AU{n}"' for n in numbers}
    if tokens is not None:
        named |= {n: f"Token({token})" for token, n in tokens.numbers.items()}
    yield 'aus ::= "none" | from0' if numbers else 'aus ::= "none"'
    for i, n in enumerate(numbers):
        last = i + 1 == len(numbers)
        yield f"from{i} ::= {named[n]}{letter} after{i}" + ("" if last else f" | from{i + 1}")
        yield f'after{i} ::= ""' + ("" if last else f' | ", " from{i + 1}')


def _value(form: Form, labels: Sequence[str]) -> str:
    match form.kind:
        case "label" | "choice":
            if not labels:
                raise ValueError("no label is on offer")
            return " | ".join(json.dumps(label, ensure_ascii=False) for label in labels)
        case "yes/no":
            return '"yes" | "no"'
        case "pair":
            return f'"valence " {_NUMBER} ", arousal " {_NUMBER}'
    raise ValueError(f"answers of kind {form.kind!r} have no grammar: ask without one and read strictly")

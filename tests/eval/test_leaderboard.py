from dataclasses import replace

import pytest

from eval.benchmarks import BENCHMARKS
from eval.leaderboard import DIFFERS, NOT_STATED, Ours, board, main, protocol_of, published
from eval.pages.figures import METRICS
from eval.run import evaluate
from eval.scores import SCORES
from facevlm.config import ConfigError

NUMBERS = published()


@pytest.mark.parametrize("one", NUMBERS, ids=lambda one: f"{one.benchmark}-{one.metric}-{one.model}-{one.value}")
def test_every_published_number_is_of_a_benchmark_and_a_metric_of_ours(one):
    protocols = BENCHMARKS[one.benchmark].protocols
    scored = {kind for protocol in protocols for kind in protocol.scores}
    assert any(one.metric in SCORES[kind].metrics for kind in scored), (one.metric, scored)
    shown = METRICS[one.metric]
    assert shown.low <= one.value <= (shown.high or 100) and one.source and one.model
    protocol = protocol_of(one)
    if protocol is not None:
        assert any(one.metric in SCORES[kind].metrics for kind in protocol.scores)
    assert protocol is not None or one.protocol in (NOT_STATED, DIFFERS)
    assert one.protocol != DIFFERS or one.note, "how it differs must be said"


def test_no_number_stands_twice():
    seen = [(one.benchmark, one.metric, one.model, one.training, one.by, one.value, one.note) for one in NUMBERS]
    assert len(seen) == len(set(seen)) and len(NUMBERS) > 100


def test_the_collected_numbers_are_those_of_the_sources():
    def value(*wanted):
        return [one.value for one in NUMBERS if (one.benchmark, one.metric, one.model, one.training) == wanted]

    assert value("disfa", "au_macro_f1", "EmoLA", "tuned") == [0.651]
    assert value("dfew", "emotion_uar", "R1-Omni", "tuned") == [0.5627]
    assert value("utkface", "number_mae", "Face-LLaVA", "zero-shot") == [4.89]
    assert value("rafdb", "emotion_accuracy", "Qwen2.5-VL-7B", "zero-shot") == [0.343, 0.526]


def ours(name="mine", **keys):
    summary = {"benchmark": "disfa", "protocol": "disfa-8", "headline": "au_macro_f1", "au_macro_f1": 0.6,
               "ci95": {"au_macro_f1": [0.55, 0.65]}, "au_protocol": "DISFA-8", "n": 130814, "model": "m",
               "reader": "strict", "caveats": ["one model over all people"]}  # fmt: skip
    return Ours(name, summary | keys)


def test_ours_stands_among_theirs_by_its_value_with_its_interval():
    lines = board(BENCHMARKS["disfa"], NUMBERS, [ours()]).splitlines()
    mine = next(i for i, line in enumerate(lines) if "ours" in line)
    assert lines[mine].split()[:6] == ["0.600", "[0.550,", "0.650]", "ours", "mine:", "m"]
    assert "EmoLA" in lines[mine - 1] and "ActFER" in lines[mine + 1]  # 0.651 and 0.582
    assert lines.count("note: mine: one model over all people") == 1


def test_what_keeps_numbers_from_being_compared_is_said():
    text = board(BENCHMARKS["disfa"], NUMBERS, [ours()])
    assert "7 of 7 published numbers do not state their protocol: no comparison" in text
    assert "mine was scored by disfa-8, by which no number here was published" in text
    stated = [replace(one, protocol="disfa-8") for one in NUMBERS if one.benchmark == "disfa"]
    assert "no comparison" not in board(BENCHMARKS["disfa"], stated, [ours()])
    assert "by which no number" in board(BENCHMARKS["disfa"], stated, [ours(protocol="disfa-12")])
    assert "were obtained by another protocol" in board(BENCHMARKS["merunibench"], NUMBERS, [])


def test_errors_stand_lowest_first():
    lines = board(BENCHMARKS["utkface"], NUMBERS, []).splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["4.060", "4.100", "4.890", "5.040", "5.250"]


def test_the_command_takes_a_benchmark_and_runs(config, oracle, capsys, tmp_path):
    evaluate(config(out=str(tmp_path / "mine")), oracle())
    main(["synthetic", str(tmp_path / "mine")])
    said = capsys.readouterr().out
    assert "1.000" in said and "mine: scripted" in said and "drawn faces: a test bench" in said
    faulty = {"is a run of benchmark synthetic, not of disfa": ["disfa", str(tmp_path / "mine")],
              "unknown benchmark 'nothing'": ["nothing"], "has no summary.json": ["disfa", "gone"]}  # fmt: skip
    for words, argv in faulty.items():
        with pytest.raises(SystemExit, match=words):
            main(argv)


def test_a_number_without_its_source_is_refused(tmp_path):
    path = tmp_path / "board.yaml"
    path.write_text("sources: {a: x}\nnumbers:\n- {benchmark: disfa, metric: m, model: y, value: 0.5, source: b}\n")
    with pytest.raises(ConfigError, match="no source is called b"):
        published(path)

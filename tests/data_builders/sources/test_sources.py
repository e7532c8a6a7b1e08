import inspect
import sys
from pathlib import Path

import pytest

from data_builders.look import document
from data_builders.source import TASKS
from data_builders.sources import SOURCES

HERE = Path(__file__).parents[3]
MODULES = sorted({source.read.__module__ for source in SOURCES.values()})


def test_the_table_of_data_sets_in_the_docs_is_what_the_code_says():
    assert (HERE / "docs" / "datasets.md").read_text() == document(SOURCES), (
        "run: python -m data_builders.look > docs/datasets.md")  # fmt: skip


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda s: s.name)
def test_a_source_says_what_a_user_must_know(source):
    assert set(source.tasks) <= set(TASKS) and source.tasks
    assert source.licence and source.needs and source.title
    assert set(source.published) <= {"train", "val", "test", ""}
    parameters = list(inspect.signature(source.read).parameters.values())
    assert parameters[0].name == "root" and ("into" in {p.name for p in parameters}) == source.extracts


@pytest.mark.parametrize("module", MODULES)
def test_a_readers_head_tells_paper_licence_files_and_a_row(module):
    head = sys.modules[module].__doc__ or ""
    wanted = ["Paper", "Licence", "Get it", "->"] if not module.endswith(("table", "classfolders")) else ["->"]
    assert [word for word in wanted if word not in head] == []


def test_what_may_be_passed_on_is_only_what_its_licence_says():
    assert {name for name, source in SOURCES.items() if source.share} == {
        "synthetic", "emonetface-hq", "emonetface-binary", "emonetface-hq-files", "emonetface-binary-files",
        "fairface",
    }  # fmt: skip

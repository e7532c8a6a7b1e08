import json
from pathlib import Path

import pytest

from facevlm import checkpoint
from facevlm.checkpoint import Adapter, ModelError, adapter_of, pixel_budget, read_facts, resolve, write_facts


def saved(folder: Path, **files: dict[str, object]) -> Path:
    """A folder with some JSON files, named without their ending."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


# -- names


def test_tiny_means_the_embedded_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checkpoint, "EMBEDDED", saved(tmp_path / "weights", config={}))
    assert resolve("tiny") == str(tmp_path / "weights")


def test_folder_with_a_model_is_taken_as_it_is(tmp_path: Path) -> None:
    assert resolve(str(saved(tmp_path / "sft", config={}))) == str(tmp_path / "sft")


def test_folder_below_home_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    saved(tmp_path / "sft", adapter_config={})
    assert resolve("~/sft") == str(tmp_path / "sft")


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json and no adapter_config\.json"):
        resolve(str(tmp_path))


@pytest.mark.parametrize("name", ["runs/nope", "./x", "../x/y", "/x", "~/x", "a/b/c", "sft", ""])
def test_path_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as caught:
        resolve(name)
    # "" is the folder one stands in: it is there, but holds no model.
    assert f"{name!r} does not exist; give a folder" in str(caught.value) or name == ""


def test_name_of_the_hub_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve("Qwen/Qwen3-VL-4B-Instruct") == "Qwen/Qwen3-VL-4B-Instruct"


# -- adapters


def test_full_model_is_its_own_base(tmp_path: Path) -> None:
    folder = str(saved(tmp_path, config={}))
    assert adapter_of(folder) == (folder, None)


def test_adapter_names_its_base_and_rank(tmp_path: Path) -> None:
    base = str(saved(tmp_path / "base", config={}))
    folder = str(saved(tmp_path / "lora", adapter_config={"base_model_name_or_path": base, "r": 8}))
    assert adapter_of(folder) == (base, Adapter(folder, 8))


def test_merged_model_with_its_old_adapter_config_is_a_full_model(tmp_path: Path) -> None:
    folder = str(saved(tmp_path, config={}, adapter_config={"base_model_name_or_path": "gone", "r": 8}))
    assert adapter_of(folder) == (folder, None)


def test_adapter_whose_base_is_gone_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path, adapter_config={"base_model_name_or_path": "./gone", "r": 8})
    with pytest.raises(ModelError, match="'./gone' does not exist"):
        adapter_of(str(folder))


# -- facts beside a model


def test_facts_come_back_as_written(tmp_path: Path) -> None:
    facts = {"max_pixels": 20736, "modes": ["explain"], "base": "tiny", "labels": None}
    write_facts(tmp_path, **facts)
    assert read_facts(str(tmp_path)) == facts


def test_model_of_others_has_no_facts(tmp_path: Path) -> None:
    assert read_facts(str(tmp_path)) == {}
    assert read_facts("Qwen/Qwen3-VL-4B-Instruct") == {}


def test_pixel_budget_is_what_the_model_was_trained_with(tmp_path: Path) -> None:
    write_facts(tmp_path, max_pixels=20736)
    assert pixel_budget(str(tmp_path)) == 20736


def test_pixel_budget_without_facts_is_512_a_side(tmp_path: Path) -> None:
    assert pixel_budget(str(tmp_path)) == 512 * 512

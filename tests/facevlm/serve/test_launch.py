import os

import pytest

from facevlm.serve.engines import launch


@pytest.mark.parametrize(("cores", "apart", "threads"), [(1, "0", "1"), (2, "0", "1"), (8, "1", None)])
def test_on_few_cores_nothing_is_waited_for_by_spinning(cores: int, apart: str, threads: str | None,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    # Left by an engine in this very process (facevlm.generate): it holds for no other.
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    monkeypatch.setattr(launch, "cores", lambda: cores)
    found = launch.environment(cpu=True)
    assert found["VLLM_ENABLE_V1_MULTIPROCESSING"] == apart
    assert found.get("OMP_NUM_THREADS") == threads


def test_the_gateways_environment_goes_before_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    found = launch.environment(cpu=False)
    assert found["VLLM_CPU_KVCACHE_SPACE"] == "7" and found["PATH"] == os.environ["PATH"]
    assert found["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"] == "75"


def test_a_number_of_threads_that_was_given_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(launch, "cores", lambda: 2)
    assert launch.environment(cpu=True)["OMP_NUM_THREADS"] == "3"

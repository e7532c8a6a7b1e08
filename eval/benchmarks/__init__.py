"""The benchmarks by name. A new one is a file beside this one and a line here."""

from eval.benchmark import Benchmark
from eval.benchmarks import synthetic, table

BENCHMARKS: dict[str, Benchmark] = {
    "synthetic": synthetic.SYNTHETIC,
    "table": table.TABLE,
}

"""Explain faces in pictures and videos: python -m facevlm.analyze photos/ --model runs/grpo --out faces.parquet

One row per face: emotion, action units, thinking, and what it was made with. What cannot be read, or shows no face,
is a row with an error, not a crash. Inputs are folders, globs, tar and zip archives, Parquet tables, videos and lists,
any number together. The output grows in parts: killed at any moment and started again, it goes on. All of it:
docs/analyze.md
"""

from facevlm.analyze.answering import analyze
from facevlm.analyze.rows import ROW
from facevlm.analyze.run import Summary, run
from facevlm.analyze.settings import Config

__all__ = ["ROW", "Config", "Summary", "analyze", "run"]

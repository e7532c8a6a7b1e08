"""Evaluation: a model against labelled faces (`run`), runs against one another (`compare`), and a page to look at."""

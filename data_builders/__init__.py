"""Labelled faces -> records: one loop (`build`), and one file a data set (`sources`).

    python -m data_builders.build --config configs/data/synthetic.yaml
"""

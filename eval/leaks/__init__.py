"""What a model has seen: its training runs, their records, and near-identical pictures."""

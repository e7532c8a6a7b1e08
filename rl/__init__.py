"""GRPO with rewards that read the same answers and call the same metrics as the evaluation."""

"""What a model card holds."""

"""facevlm: vision-language fine-tuning and reasoning for faces."""

__version__ = "0.1.0"

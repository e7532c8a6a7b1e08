"""The gateway: the only door to the engines, an OpenAI-compatible chat and a face API. `python -m facevlm.serve`."""

"""Transformers by their Hugging Face ``config.json``: their parts, the operators of a step, the memory."""

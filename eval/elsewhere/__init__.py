"""Predictions that somebody else made: their files, columns, texts, and which face each belongs to."""

"""The gate: who may ask, how much, how large, how slowly, and with which headers an answer goes out."""

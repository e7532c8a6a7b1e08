"""Subgroups and counterfactual faces: who is compared, how far apart the numbers are, and pages of them."""

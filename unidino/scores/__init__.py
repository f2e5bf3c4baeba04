"""Scores of profiles: nearest neighbours under exclusion rules, precision, replicates."""

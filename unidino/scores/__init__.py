"""From profiles to scores: nearest neighbours under exclusion rules."""

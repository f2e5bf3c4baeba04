"""What profiles say: channels that matter, measured readouts, points in a plane."""

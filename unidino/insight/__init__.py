"""What profiles tell: important channels, measured readouts, points in a plane."""

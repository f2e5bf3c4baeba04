"""Tools that every room uses: errors, choices, messages, files, SQL, wells, statistics."""

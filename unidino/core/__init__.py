"""What every room uses: errors, text, log, files, SQL."""

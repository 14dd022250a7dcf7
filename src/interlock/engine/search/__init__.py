"""Finding runs: filters, pages of what they match, filters that are kept, and orders to all that one matches."""

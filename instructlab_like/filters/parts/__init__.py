"""What filters are built from: word lists, indexes, checks. Nothing here is a filter."""

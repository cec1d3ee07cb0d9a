"""Tables: rows of numbers, binary values and categories, some of them missing."""

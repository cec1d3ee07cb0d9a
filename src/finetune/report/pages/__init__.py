"""What is shown: HTML pages, tables, CSV files, and texts for the terminal."""

"""A fine-tuning run's life, alone or in a sweep or search: what it trains, and what it keeps."""

"""Networks: their blocks, starting weights, file, and what their units look for."""

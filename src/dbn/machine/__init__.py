"""What this processor or GPU does best: products, precision, threads, memory, CUDA graphs, the optimiser."""

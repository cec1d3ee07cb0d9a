"""Fine-tuning by backpropagation from a pretrained stack or from random weights, and the comparison of the two."""

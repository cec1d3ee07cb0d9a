"""Choice of held-out images and of labelled subsets."""

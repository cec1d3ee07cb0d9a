"""Methods that a study is compared with but that are not arms: PCA for autoencoders, EasyPR's recogniser for plates."""

"""Networks: blocks, initialisation, groups, files, and visualisation of features."""

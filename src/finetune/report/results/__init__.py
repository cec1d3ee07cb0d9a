"""What is read: the runs of a study, their curves and pictures, and how their values are formatted."""

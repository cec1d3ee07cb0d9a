"""Which images are held out, and which labels are used."""

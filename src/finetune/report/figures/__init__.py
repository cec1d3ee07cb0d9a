"""What is drawn: figures as SVG and mosaics of images, for wide and for narrow screens."""

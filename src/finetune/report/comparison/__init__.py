"""What is decided: which arms are compared, which one wins, and how sure that is. Draws and writes nothing."""

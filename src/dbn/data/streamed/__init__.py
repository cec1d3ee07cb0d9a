"""Images that stay in a file while they are trained on."""

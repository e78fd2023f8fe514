"""From what is wanted and what is there to the steps between them."""

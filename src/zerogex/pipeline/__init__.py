"""Pure steps from quotes to minutes."""

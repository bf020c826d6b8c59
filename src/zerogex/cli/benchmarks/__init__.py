"""What `zerogex bench` measures, one module for each part of the program."""

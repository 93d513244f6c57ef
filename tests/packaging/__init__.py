"""The package, the image and the two commands, tried from outside."""

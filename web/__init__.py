"""What the browser gets: templates, the built client and styles. Holds no Python beyond this marker."""

"""People, roles, sign-in, sessions and links."""

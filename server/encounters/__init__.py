"""The visit: admission, participants, consent and recordings."""

"""The room in real time: who is in it, what each person sees of it, and what the media nodes should be doing."""

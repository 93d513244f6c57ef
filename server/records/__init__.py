"""Notes, addenda and documents."""

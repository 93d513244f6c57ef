"""What people look at across areas; owns no tables."""

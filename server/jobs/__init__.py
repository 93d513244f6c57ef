"""The job table, claiming and the loop; lies beneath the areas."""

"""Schedules, slots, appointments, messages and calendar files."""

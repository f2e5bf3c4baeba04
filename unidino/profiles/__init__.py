"""From vectors to normalized profiles of wells, treatments, compounds."""

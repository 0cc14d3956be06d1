"""Floor 5: builds the system from Settings. The one room that knows all rooms."""

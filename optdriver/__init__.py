"""optdriver: minimisation that is driven, not called."""

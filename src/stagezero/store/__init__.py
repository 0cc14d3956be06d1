"""Floor 2: versioned objects (get, list, put-if, delete, watch). Opened by the API server alone."""

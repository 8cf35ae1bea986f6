"""The llm-d latency-predictor protocol: predictions for a router, learning online from finished requests."""

"""vLLM behind the gateway: started, watched, started again, and asked."""

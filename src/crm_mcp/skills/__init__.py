"""Skills (S0 section 10): pieces of work that specialists know, each with its tools, its limits of now and examples."""

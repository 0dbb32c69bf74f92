"""Measures crm-mcp beside a bare server and a bare query, in one interleaved run; asserts nothing."""

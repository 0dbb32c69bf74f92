"""Working memory (S0 section 4): what somebody looked at and did lately, in Redis or Valkey, else in a table of Postgres."""

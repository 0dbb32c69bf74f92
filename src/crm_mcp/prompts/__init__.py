"""What a person may start from a client's menu: a job, described to the model, with what the CRM knows for it."""

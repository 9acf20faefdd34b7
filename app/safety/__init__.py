"""What may come in, and what a run may do after it: guards on input, fences around content of others, taint,
approvals."""

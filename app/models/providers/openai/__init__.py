"""OpenAI's Chat Completions API, as many servers speak it."""

"""The forms in which an answer is sent, one file for each of OpenRouter's inference APIs."""

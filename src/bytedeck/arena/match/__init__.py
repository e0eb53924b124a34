"""How a match goes: who is due, who is told what, what a call has come to, what a vote means."""

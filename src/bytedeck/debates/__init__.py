"""Debates and battles as they are held: two drivers, blocking and async, of one referee."""

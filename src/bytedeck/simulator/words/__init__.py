"""What is said, and the forms of the three skins."""

"""The arena by HTTP: debates and battles that are held here in the background, and watched by whoever may."""

"""Stage 3: trying models until one answers. Pure: it decides, io does."""

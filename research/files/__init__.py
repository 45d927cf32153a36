"""Files that are whole or absent: atomic writes, the verified cache, downloads, archives."""

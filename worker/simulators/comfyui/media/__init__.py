"""Writers of small valid media files that need no codec library."""
